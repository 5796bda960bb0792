/** Every record book, by its kind. */
import { assetReport } from "./asset-report.ts";
import { linkSession } from "./link-session.ts";
import { paymentRecipient } from "./payment-recipient.ts";
import { payment } from "./payment.ts";
import type { AnyRecordBook } from "./record-book.ts";
import { user } from "./user.ts";

export const RECORDS = {
  payment,
  payment_recipient: paymentRecipient,
  user,
  asset_report: assetReport,
  link_session: linkSession,
};

export type RecordKind = keyof typeof RECORDS;

export const ALL_RECORDS: readonly AnyRecordBook[] = Object.values(RECORDS) as unknown as AnyRecordBook[];
