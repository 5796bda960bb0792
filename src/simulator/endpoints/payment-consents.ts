/** POST /payment_initiation/consent/…: consents, and the payments that are made by them. */
import { z } from "zod";
import { invalidField } from "../plaid-error.ts";
import { changeRecord, makeRecord, recordOf } from "../records/changes.ts";
import { consentObject, consentShape, paymentConsent } from "../records/payment-consent.ts";
import { paymentRecipient } from "../records/payment-recipient.ts";
import { amountShape, payment, referenceShape } from "../records/payment.ts";
import { endpoint, type Endpoint } from "./endpoint.ts";
import { recordEndpoint } from "./record-endpoint.ts";
import { only } from "./transfers.ts";

const execution = {
  amount: amountShape,
  idempotency_key: z.string().min(1).max(128),
  reference: referenceShape.nullish(),
  scope: z.enum(["ME_TO_ME", "EXTERNAL"]).nullish(),
  processing_mode: z.enum(["ASYNC", "IMMEDIATE"]).optional(),
};

export const PAYMENT_CONSENTS: readonly Endpoint[] = [
  endpoint(
    "/payment_initiation/consent/create",
    { ...consentShape, options: z.looseObject({}).nullish() },
    (body, { sim, client: { clientId } }) => {
      recordOf(sim, paymentRecipient, clientId, body.recipient_id);
      const request = { ...only(body, consentShape), status: "UNAUTHORISED" as const };
      const { id, state } = makeRecord(sim, paymentConsent, clientId, request);
      return { consent_id: id, status: state.status };
    },
  ),
  recordEndpoint("/payment_initiation/consent/get", paymentConsent, "consent_id", {}, consentObject),
  recordEndpoint("/payment_initiation/consent/revoke", paymentConsent, "consent_id", {}, (record, _body, { sim }) => {
    changeRecord(sim, paymentConsent, record, { status: "REVOKED" });
    return {};
  }),
  recordEndpoint(
    "/payment_initiation/consent/payment/execute",
    paymentConsent,
    "consent_id",
    execution,
    ({ id, state }, { amount, reference }, { sim, client }) => {
      if (state.status !== "AUTHORISED") throw invalidField(`the consent is ${state.status}`);
      if (amount.value > state.constraints.max_payment_amount.value)
        throw invalidField("amount exceeds constraints.max_payment_amount");
      const made = makeRecord(sim, payment, client.clientId, {
        recipient_id: state.recipientId,
        reference: reference ?? state.reference,
        amount,
        consent_id: id,
        status: "PAYMENT_STATUS_INITIATED",
      });
      return { payment_id: made.id, status: made.state.status };
    },
  ),
];
