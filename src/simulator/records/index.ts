/** Every record book, by its kind. */
import { paymentRecipient } from "./payment-recipient.ts";
import { payment } from "./payment.ts";
import type { AnyRecordBook } from "./record-book.ts";

export const RECORDS = {
  payment,
  payment_recipient: paymentRecipient,
};

export type RecordKind = keyof typeof RECORDS;

export const ALL_RECORDS: readonly AnyRecordBook[] = Object.values(RECORDS) as unknown as AnyRecordBook[];
