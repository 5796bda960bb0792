/**
 * Consents to payments (https://plaid.com/docs/api/products/payment-initiation/#payment_initiationconsentget): the payer agrees once, and
 * payments within the limits need nobody any more.
 *
 *   UNAUTHORISED → AUTHORISED | REJECTED; AUTHORISED → REVOKED | EXPIRED
 */
import { z } from "zod";
import { momentText } from "../days.ts";
import { invalidField } from "../plaid-error.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { makeRecord, recordOf } from "./changes.ts";
import { bacsShape, paymentRecipient } from "./payment-recipient.ts";
import { amountShape, referenceShape } from "./payment.ts";
import { bacsNumbers, personName } from "./people.ts";
import { recordBook, type SimRecord } from "./record-book.ts";

const consentStatus = z.enum(["UNAUTHORISED", "AUTHORISED", "REVOKED", "REJECTED", "EXPIRED"]);
type Status = z.output<typeof consentStatus>;

const instant = z.iso.datetime({ offset: true });
const constraintsShape = z.strictObject({
  valid_date_time: z.strictObject({ from: instant.nullish(), to: instant.nullish() }).nullish(),
  max_payment_amount: amountShape,
  periodic_amounts: z
    .array(
      z.strictObject({
        amount: amountShape,
        interval: z.enum(["DAY", "WEEK", "MONTH", "YEAR"]),
        alignment: z.enum(["CALENDAR", "CONSENT"]),
      }),
    )
    .min(1),
});
const payerShape = z.looseObject({
  name: z.string().min(1),
  numbers: z.looseObject({ bacs: bacsShape.nullish(), iban: z.string().nullish() }),
});

export const consentShape = {
  recipient_id: z.string().min(1),
  reference: referenceShape,
  type: z.enum(["SWEEPING", "COMMERCIAL"]).optional(),
  scopes: z
    .array(z.enum(["ME_TO_ME", "EXTERNAL"]))
    .min(1)
    .optional(),
  constraints: constraintsShape,
  payer_details: payerShape.nullish(),
};

interface Payer {
  name: string;
  iban: string | null;
  bacs: z.output<typeof bacsShape> | null;
}

export interface Consent {
  recipientId: string;
  reference: string;
  type: "SWEEPING" | "COMMERCIAL";
  scopes: ("ME_TO_ME" | "EXTERNAL")[];
  constraints: z.output<typeof constraintsShape>;
  payer: Payer | null;
  status: Status;
}

const { recipient_id, reference, type, scopes, constraints, payer_details } = consentShape;

export const paymentConsent = recordBook<Consent>()({
  kind: "payment_consent",
  id: (random) => `consent-id-sandbox-${random.uuid()}`,
  making: {
    recipient_id: recipient_id.optional(),
    reference: reference.optional(),
    type,
    scopes,
    constraints: constraints.optional(),
    payer_details,
    status: consentStatus.default("UNAUTHORISED"),
  },
  make: (given, { random, clientId }, sim) => ({
    recipientId:
      given.recipient_id === undefined
        ? makeRecord(sim, paymentRecipient, clientId, {}, { random: random.fork("recipient") }).id
        : recordOf(sim, paymentRecipient, clientId, given.recipient_id).id,
    reference: given.reference ?? `Consent ${random.between(1000, 99_999)}`,
    type: given.type ?? "SWEEPING",
    scopes: given.scopes ?? ["ME_TO_ME"],
    constraints: given.constraints ?? {
      max_payment_amount: { currency: "GBP", value: random.between(10, 500) },
      periodic_amounts: [
        { amount: { currency: "GBP", value: random.between(500, 5000) }, interval: "MONTH", alignment: "CALENDAR" },
      ],
    },
    payer: given.payer_details
      ? payerOf(given.payer_details)
      : { name: personName(random), iban: null, bacs: bacsNumbers(random) },
    status: given.status,
  }),
  changing: { status: consentStatus },
  change(record, { status }, sim) {
    const old = record.state.status;
    if (status === old) return null;
    record.state.status = status;
    return statusUpdate(record, old, sim.time.now());
  },
  calm: ({ state }, random) => {
    if (state.status === "AUTHORISED") return random.chance(0.2) ? { status: "REVOKED" as const } : null;
    if (state.status !== "UNAUTHORISED") return null;
    return { status: random.pick(["AUTHORISED", "AUTHORISED", "REJECTED"] as const) };
  },
  truth: (record) => ({ payment_consents: consentObject(record) }),
  unknown: () => invalidField("consent_id must be the id of one of your consents"),
});

const payerOf = ({ name, numbers }: z.output<typeof payerShape>): Payer => ({
  name,
  iban: numbers.iban ?? null,
  bacs: numbers.bacs ?? null,
});

/** Plaid's PaymentInitiationConsent */
export const consentObject = ({ id, createdAt, state }: SimRecord<Consent>): Record<string, unknown> => ({
  consent_id: id,
  constraints: state.constraints,
  created_at: momentText(createdAt),
  payer_details: state.payer,
  recipient_id: state.recipientId,
  reference: state.reference,
  scopes: state.scopes,
  status: state.status,
  type: state.type,
});

const statusUpdate = ({ id, state }: SimRecord<Consent>, old: Status, at: number): WebhookNotice => ({
  type: "PAYMENT_INITIATION",
  code: "CONSENT_STATUS_UPDATE",
  fields: { consent_id: id, old_status: old, new_status: state.status, timestamp: new Date(at).toISOString() },
});
