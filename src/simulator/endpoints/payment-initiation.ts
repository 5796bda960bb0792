/** POST /payment_initiation/…: recipients, payments, and how the Sandbox moves a payment to another status. */
import { z } from "zod";
import { changeRecord, makeRecord, recordOf } from "../records/changes.ts";
import { paymentRecipient, recipientShape } from "../records/payment-recipient.ts";
import { payment, paymentObject, paymentShape, paymentStatus } from "../records/payment.ts";
import { endpoint, type Endpoint } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";
import { recordEndpoint } from "./record-endpoint.ts";
import { pageOf } from "./record-pages.ts";

const paging = (most: number, usual: number) => ({
  count: z
    .int()
    .min(1)
    .max(most)
    .nullish()
    .transform((count) => count ?? usual),
  cursor: z.string().nullish(),
});

export const PAYMENT_INITIATION: readonly Endpoint[] = [
  endpoint("/payment_initiation/recipient/create", recipientShape, (body, { sim, client }) => ({
    recipient_id: makeRecord(sim, paymentRecipient, client.clientId, body).id,
  })),
  recordEndpoint("/payment_initiation/recipient/get", paymentRecipient, "recipient_id", {}, ({ id, state }) => ({
    recipient_id: id,
    ...state,
  })),
  endpoint("/payment_initiation/recipient/list", paging(100, 100), ({ count, cursor }, { sim, client }) => {
    const page = pageOf(sim.world.records.of(paymentRecipient, client.clientId), count, cursor);
    return {
      recipients: page.records.map(({ id, state }) => ({ recipient_id: id, ...state })),
      ...(page.next_cursor === null ? {} : { next_cursor: page.next_cursor }),
    };
  }),
  endpoint("/payment_initiation/payment/create", paymentShape, (body, { sim, client }) => {
    recordOf(sim, paymentRecipient, client.clientId, body.recipient_id);
    const made = makeRecord(sim, payment, client.clientId, { ...body, status: "PAYMENT_STATUS_INPUT_NEEDED" });
    return { payment_id: made.id, status: made.state.status };
  }),
  recordEndpoint("/payment_initiation/payment/get", payment, "payment_id", {}, paymentObject),
  endpoint(
    "/payment_initiation/payment/list",
    { ...paging(200, 10), consent_id: z.string().nullish() },
    ({ count, cursor, consent_id }, { sim, client }) => {
      const all = sim.world.records.of(payment, client.clientId);
      const page = pageOf(consent_id ? all.filter(({ state }) => state.consentId === consent_id) : all, count, cursor);
      return { payments: page.records.map(paymentObject), next_cursor: page.next_cursor };
    },
  ),
  recordEndpoint(
    "/sandbox/payment/simulate",
    payment,
    "payment_id",
    { webhook: webhookUrl, status: paymentStatus },
    (record, { webhook, status }, { sim }) => {
      const old_status = record.state.status;
      changeRecord(sim, payment, record, { status }, { url: webhook });
      return { old_status, new_status: record.state.status };
    },
  ),
];
