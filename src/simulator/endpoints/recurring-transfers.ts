/** POST /transfer/recurring/… and /transfer/originator/…: recurring transfers, and the businesses that a platform makes transfers for. */
import { z } from "zod";
import { changeRecord, makeRecord } from "../records/changes.ts";
import { originator, originatorObject } from "../records/originator.ts";
import { recurringNetwork, recurringObject, recurringTransfer, scheduleShape } from "../records/recurring-transfer.ts";
import { achClass, amountText, transferType, userShape } from "../records/transfer-shapes.ts";
import { endpoint, itemEndpoint, type Endpoint } from "./endpoint.ts";
import { recordEndpoint } from "./record-endpoint.ts";
import { checkAccount, instant, offsetPage, offsetPaging, only, within } from "./transfers.ts";

const proposal = {
  account_id: z.string().min(1),
  idempotency_key: z.string().min(1).max(50),
  funding_account_id: z.string().nullish(),
  type: transferType,
  network: recurringNetwork,
  ach_class: achClass.optional(),
  amount: amountText,
  description: z.string().min(1).max(15),
  schedule: scheduleShape,
  user: userShape,
};
const ignored = {
  user_present: z.boolean().nullish(),
  iso_currency_code: z.string().optional(),
  test_clock_id: z.string().nullish(),
  device: z.looseObject({}).optional(),
};

const recurringCreate = itemEndpoint(
  "/transfer/recurring/create",
  "healthy",
  { ...proposal, ...ignored },
  (item, body, { sim, client: { clientId } }) => {
    checkAccount(item, body.account_id);
    const all = sim.world.records.of(recurringTransfer, clientId);
    const record =
      all.find(({ state }) => state.idempotencyKey === body.idempotency_key) ??
      makeRecord(sim, recurringTransfer, clientId, only(body, proposal));
    return { recurring_transfer: recurringObject(record), decision: "approved", decision_rationale: null };
  },
);

export const RECURRING_TRANSFERS: readonly Endpoint[] = [
  recurringCreate,
  recordEndpoint("/transfer/recurring/get", recurringTransfer, "recurring_transfer_id", {}, (record) => ({
    recurring_transfer: recurringObject(record),
  })),
  recordEndpoint(
    "/transfer/recurring/cancel",
    recurringTransfer,
    "recurring_transfer_id",
    {},
    (record, _body, { sim }) => {
      changeRecord(sim, recurringTransfer, record, { happens: "cancel" });
      return {};
    },
  ),
  endpoint(
    "/transfer/recurring/list",
    { ...offsetPaging, start_time: instant, end_time: instant, funding_account_id: z.string().nullish() },
    (body, { sim, client }) => {
      const all = sim.world.records
        .of(recurringTransfer, client.clientId)
        .filter(({ createdAt }) => within(createdAt, body.start_time, body.end_time))
        .filter(({ state }) => !body.funding_account_id || state.fundingAccountId === body.funding_account_id);
      return { recurring_transfers: offsetPage(all.toReversed(), body).page.map(recurringObject) };
    },
  ),
  endpoint("/transfer/originator/create", { company_name: z.string().min(1) }, (body, { sim, client }) => {
    const { id, state } = makeRecord(sim, originator, client.clientId, body);
    return { originator_client_id: id, company_name: state.companyName };
  }),
  recordEndpoint("/transfer/originator/get", originator, "originator_client_id", {}, (record) => ({
    originator: originatorObject(record),
  })),
  endpoint("/transfer/originator/list", offsetPaging, (body, { sim, client }) => {
    const all = sim.world.records.of(originator, client.clientId);
    const brief = offsetPage(all, body).page.map(originatorObject);
    return {
      originators: brief.map(({ client_id, transfer_diligence_status }) => ({ client_id, transfer_diligence_status })),
    };
  }),
];
