/**
 * Payments (https://plaid.com/docs/api/products/payment-initiation/#payment_initiationpaymentget): made by the client, then moved
 * from status to status by the user and the banks. Each move is announced with the old and the new status.
 *
 *   INPUT_NEEDED → AUTHORISING → INITIATED → EXECUTED → SETTLED; it may end as REJECTED, FAILED, INSUFFICIENT_FUNDS or CANCELLED
 */
import { z } from "zod";
import { dayText, momentText } from "../days.ts";
import { errorObject, invalidField, type ErrorFacts } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { bacsShape, paymentRecipient, type Bacs } from "./payment-recipient.ts";
import { makeRecord, recordOf } from "./changes.ts";
import { money } from "./people.ts";
import { recordBook, type SimRecord } from "./record-book.ts";

const STATUSES = [
  "INPUT_NEEDED",
  "PROCESSING",
  "INITIATED",
  "COMPLETED",
  "INSUFFICIENT_FUNDS",
  "FAILED",
  "BLOCKED",
  "UNKNOWN",
  "EXECUTED",
  "SETTLED",
  "AUTHORISING",
  "CANCELLED",
  "ESTABLISHED",
  "REJECTED",
] as const;
const SCHEMES = ["LOCAL_DEFAULT", "LOCAL_INSTANT", "SEPA_CREDIT_TRANSFER", "SEPA_CREDIT_TRANSFER_INSTANT"] as const;

export const paymentStatus = z.enum(STATUSES.map((one) => `PAYMENT_STATUS_${one}` as const));
export type PaymentStatus = z.output<typeof paymentStatus>;

export const amountShape = z.strictObject({
  currency: z.enum(["GBP", "EUR", "PLN", "SEK", "DKK", "NOK"]),
  value: z.number().min(0.01),
});
export const referenceShape = z.string().min(1).max(18);
const dayShape = z.iso.date();
const scheduleShape = z.strictObject({
  interval: z.enum(["WEEKLY", "MONTHLY"]),
  interval_execution_day: z.int().min(-5).max(28),
  start_date: dayShape,
  end_date: dayShape.nullish(),
  adjusted_start_date: dayShape.nullish(),
});
const optionsShape = z.strictObject({
  request_refund_details: z.boolean().nullish(),
  iban: z.string().min(15).max(34).nullish(),
  bacs: bacsShape.nullish(),
  scheme: z.enum(SCHEMES).nullish(),
});

export const paymentShape = {
  recipient_id: z.string().min(1),
  reference: referenceShape,
  amount: amountShape,
  schedule: scheduleShape.nullish(),
  options: optionsShape.nullish(),
};

export interface Payment {
  recipientId: string;
  reference: string;
  amount: z.output<typeof amountShape>;
  schedule: z.output<typeof scheduleShape> | null;
  bacs: Bacs | null;
  iban: string | null;
  scheme: string | null;
  refundDetails: boolean;
  consentId: string | null;
  status: PaymentStatus;
  statusAt: number;
  amountRefunded: z.output<typeof amountShape> | null;
  refundIds: string[];
  error: ErrorFacts | null;
}

const { recipient_id, reference, amount, schedule, options } = paymentShape;

export const payment = recordBook<Payment>()({
  kind: "payment",
  id: (random) => `payment-id-sandbox-${random.uuid()}`,
  making: {
    recipient_id: recipient_id.optional(),
    reference: reference.optional(),
    amount: amount.optional(),
    schedule,
    options,
    /** the consent by which it is made, if any */
    consent_id: z.string().optional(),
    status: paymentStatus.default("PAYMENT_STATUS_INPUT_NEEDED"),
  },
  make: (given, { random, clientId, createdAt }, sim) => {
    const recipient =
      given.recipient_id === undefined
        ? makeRecord(sim, paymentRecipient, clientId, {}, { random: random.fork("recipient") })
        : recordOf(sim, paymentRecipient, clientId, given.recipient_id);
    const days = sim.today() + random.between(1, 20);
    return {
      recipientId: recipient.id,
      reference: given.reference ?? `Order ${random.between(1000, 99_999)}`,
      amount: given.amount ?? { currency: "GBP", value: money(random, 5, 900) },
      schedule: given.schedule ? { ...given.schedule, adjusted_start_date: dayText(days) } : null,
      bacs: given.options?.bacs ?? null,
      iban: given.options?.iban ?? null,
      scheme: given.options?.scheme ?? null,
      refundDetails: given.options?.request_refund_details ?? false,
      consentId: given.consent_id ?? null,
      status: given.status,
      statusAt: createdAt,
      amountRefunded: null,
      refundIds: [],
      error: null,
    };
  },
  changing: {
    status: paymentStatus.optional(),
    /** how much of it was paid back so far */
    amount_refunded: z.number().min(0).optional(),
  },
  change(record, { status, amount_refunded }, sim) {
    const { state, random } = record;
    if (amount_refunded !== undefined) {
      state.amountRefunded = { ...state.amount, value: amount_refunded };
      state.refundIds.push(`wallet-transaction-id-sandbox-${random.uuid()}`);
    }
    if (status === undefined || status === state.status) return null;
    const old = state.status;
    state.status = status;
    state.statusAt = sim.time.now();
    state.error = status === "PAYMENT_STATUS_REJECTED" ? REJECTED : null;
    return statusUpdate(record, old);
  },
  calm: ({ state }, random) => {
    const next = NEXT[state.status];
    return next ? { status: next(random) } : null;
  },
  truth: (record) => ({ payments: paymentObject(record) }),
  unknown: () => invalidField("payment_id must be the id of one of your payments"),
});

const NEXT: Partial<Record<PaymentStatus, (random: Random) => PaymentStatus>> = {
  PAYMENT_STATUS_INPUT_NEEDED: (random) =>
    random.chance(0.1) ? "PAYMENT_STATUS_CANCELLED" : "PAYMENT_STATUS_AUTHORISING",
  PAYMENT_STATUS_AUTHORISING: () => "PAYMENT_STATUS_INITIATED",
  PAYMENT_STATUS_INITIATED: (random) =>
    random.pick(["PAYMENT_STATUS_EXECUTED", "PAYMENT_STATUS_EXECUTED", "PAYMENT_STATUS_REJECTED"]),
  PAYMENT_STATUS_EXECUTED: () => "PAYMENT_STATUS_SETTLED",
};

const REJECTED: ErrorFacts = {
  type: "PAYMENT_ERROR",
  code: "PAYMENT_REJECTED",
  message: "The payment was rejected by the institution.",
};

/** Plaid's PaymentInitiationPayment */
export function paymentObject({ id, state }: SimRecord<Payment>): Record<string, unknown> {
  const paidBy = { bacs: state.bacs ?? null, iban: state.iban };
  const settled = state.status === "PAYMENT_STATUS_SETTLED" || state.status === "PAYMENT_STATUS_EXECUTED";
  return {
    adjusted_reference: null,
    adjusted_scheme: null,
    amount: state.amount,
    ...(state.amountRefunded ? { amount_refunded: state.amountRefunded } : {}),
    bacs: state.bacs,
    consent_id: state.consentId,
    end_to_end_id: settled ? `sptch${id.slice(-17).replaceAll("-", "")}` : null,
    error: state.error && errorObject(state.error),
    iban: state.iban,
    last_status_update: momentText(state.statusAt),
    payment_id: id,
    recipient_id: state.recipientId,
    reference: state.reference,
    refund_details: settled && state.refundDetails ? { ...paidBy, name: "Chiara Greco" } : null,
    refund_ids: state.refundIds.length > 0 ? state.refundIds : null,
    schedule: state.schedule,
    scheme: state.scheme,
    status: state.status,
    transaction_id: null,
    wallet_id: null,
  };
}

const statusUpdate = ({ id, state }: SimRecord<Payment>, old: PaymentStatus): WebhookNotice => ({
  type: "PAYMENT_INITIATION",
  code: "PAYMENT_STATUS_UPDATE",
  fields: {
    adjusted_reference: null,
    adjusted_start_date: state.schedule?.adjusted_start_date ?? null,
    error: state.error && errorObject(state.error),
    new_payment_status: state.status,
    old_payment_status: old,
    original_reference: state.reference,
    original_start_date: state.schedule?.start_date ?? null,
    payment_id: id,
    timestamp: new Date(state.statusAt).toISOString(),
  },
});
