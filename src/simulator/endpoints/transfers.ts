/** POST /transfer/…: authorizations, transfers and their events, and how the Sandbox moves a transfer on. */
import { z } from "zod";
import { bookOf, type Item } from "../item.ts";
import { invalidAccountId, invalidField } from "../plaid-error.ts";
import { announce, changeRecord, makeRecord, recordOf } from "../records/changes.ts";
import type { SimRecord } from "../records/record-book.ts";
import { authorizationObject, transferAuthorization } from "../records/transfer-authorization.ts";
import { eventsUpdate, ledgerOf, type TransferEvent } from "../records/transfer-ledger.ts";
import { achClass, amountText, transferNetwork, transferType, userShape } from "../records/transfer-shapes.ts";
import { simulatedStep, transfer, transferObject, type Transfer } from "../records/transfer.ts";
import { endpoint, itemEndpoint, type Endpoint } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";
import { recordEndpoint } from "./record-endpoint.ts";

const EVENTS_LIMIT = { perClient: 5000, code: "RATE_LIMIT" };

export const instant = z.iso.datetime({ offset: true }).nullish();
export const offsetPaging = {
  count: z.int().min(1).max(25).nullish(),
  offset: z.int().min(0).nullish(),
};

/** The items from `offset` on, and whether more follow. */
export function offsetPage<T>(
  all: readonly T[],
  { count, offset }: { count?: number | null | undefined; offset?: number | null | undefined },
): { page: T[]; has_more: boolean } {
  const from = offset ?? 0;
  const to = from + (count ?? 25);
  return { page: all.slice(from, to), has_more: to < all.length };
}

/** Whether an instant (ms) lies between two texts of Plaid's requests. */
export const within = (at: number, from: string | null | undefined, to: string | null | undefined): boolean =>
  (!from || at >= Date.parse(from)) && (!to || at <= Date.parse(to));

/** The fields of a body that a shape has. */
export const only = <Body, S extends object>(body: Body, shape: S): Pick<Body, keyof S & keyof Body> =>
  Object.fromEntries(Object.keys(shape).map((field) => [field, body[field as keyof Body]])) as Pick<
    Body,
    keyof S & keyof Body
  >;

export function checkAccount(item: Item, accountId: string): void {
  if (!bookOf(item).accounts.some((account) => account.id === accountId)) throw invalidAccountId();
}

const proposal = {
  account_id: z.string().min(1),
  funding_account_id: z.string().nullish(),
  type: transferType,
  network: transferNetwork,
  amount: amountText,
  ach_class: achClass.optional(),
  user: userShape,
  idempotency_key: z.string().max(50).nullish(),
  originator_client_id: z.string().nullish(),
};
const ignored = {
  ledger_id: z.string().nullish(),
  payment_profile_token: z.string().optional(),
  wire_details: z.looseObject({}).nullish(),
  device: z.looseObject({}).optional(),
  origination_account_id: z.string().nullish(),
  iso_currency_code: z.string().optional(),
  user_present: z.boolean().nullish(),
  with_guarantee: z.boolean().nullish(),
  request_guarantee: z.boolean().nullish(),
  beacon_session_id: z.string().nullish(),
  credit_funds_source: z.string().nullish(),
  test_clock_id: z.string().nullish(),
  ruleset_key: z.string().nullish(),
  custom_attributes: z.looseObject({}).nullish(),
};

const authorizationCreate = itemEndpoint(
  "/transfer/authorization/create",
  "any",
  { ...proposal, ...ignored },
  (item, body, { sim, client: { clientId } }) => {
    checkAccount(item, body.account_id);
    const key = body.idempotency_key;
    const earlier =
      key && sim.world.records.of(transferAuthorization, clientId).find((one) => one.state.idempotencyKey === key);
    if (earlier) return { authorization: authorizationObject(earlier) };
    const decision = item.error
      ? ({ decision: "user_action_required", rationale_code: "ITEM_LOGIN_REQUIRED" } as const)
      : ({ decision: "approved" } as const);
    const made = makeRecord(sim, transferAuthorization, clientId, { ...only(body, proposal), ...decision });
    return { authorization: authorizationObject(made) };
  },
);

const transferCreate = itemEndpoint(
  "/transfer/create",
  "any",
  {
    ...ignored,
    account_id: z.string().min(1),
    authorization_id: z.string().min(1),
    description: z.string().min(1).max(15),
    idempotency_key: z.string().max(50).optional(),
    type: transferType.optional(),
    network: transferNetwork.optional(),
    amount: amountText.optional(),
    ach_class: achClass.optional(),
    user: userShape.nullish(),
    metadata: z.record(z.string(), z.string()).nullish(),
    facilitator_fee: z.string().optional(),
  },
  (item, { account_id, authorization_id, description, metadata }, { sim, client: { clientId } }) => {
    checkAccount(item, account_id);
    const { id, state: approved } = recordOf(sim, transferAuthorization, clientId, authorization_id);
    if (approved.decision !== "approved") throw invalidField(`the authorization is ${approved.decision}`);
    if (approved.accountId !== account_id) throw invalidField("account_id is not the one of the authorization");
    if (approved.transferId !== null) return shown(recordOf(sim, transfer, clientId, approved.transferId));
    const { type, network, amount } = approved;
    const made = makeRecord(sim, transfer, clientId, {
      authorization_id: id,
      account_id,
      description,
      metadata,
      type,
      network,
      amount,
      ach_class: approved.achClass ?? undefined,
      funding_account_id: approved.fundingAccountId,
      originator_client_id: approved.originatorClientId,
    });
    made.state.user = approved.user;
    approved.transferId = made.id;
    return shown(made);
  },
);

const shown = (record: SimRecord<Transfer>) => ({ transfer: transferObject(record) });

/** By its own id or its authorization's. */
const transferGet = endpoint(
  "/transfer/get",
  {
    transfer_id: z.string().optional(),
    authorization_id: z.string().optional(),
    originator_client_id: z.string().optional(),
  },
  ({ transfer_id, authorization_id }, { sim, client: { clientId } }) => {
    if (transfer_id !== undefined) return shown(recordOf(sim, transfer, clientId, transfer_id));
    if (authorization_id === undefined) throw invalidField("either transfer_id or authorization_id is required");
    const { state } = recordOf(sim, transferAuthorization, clientId, authorization_id);
    return shown(recordOf(sim, transfer, clientId, state.transferId ?? ""));
  },
);

const transferList = endpoint(
  "/transfer/list",
  {
    ...offsetPaging,
    start_date: instant,
    end_date: instant,
    origination_account_id: z.string().nullish(),
    originator_client_id: z.string().nullish(),
    funding_account_id: z.string().nullish(),
  },
  (body, { sim, client }) => {
    const requested = ({ createdAt, state }: SimRecord<Transfer>) =>
      within(createdAt, body.start_date, body.end_date) &&
      (!body.funding_account_id || state.fundingAccountId === body.funding_account_id) &&
      (!body.originator_client_id || state.originatorClientId === body.originator_client_id);
    const all = sim.world.records.of(transfer, client.clientId).filter(requested).toReversed();
    return { transfers: offsetPage(all, body).page.map(transferObject) };
  },
);

const eventSync = endpoint(
  "/transfer/event/sync",
  { after_id: z.int().min(0), count: z.int().min(1).max(500).nullish() },
  ({ after_id, count }, { sim, client }) => {
    const { events } = ledgerOf(sim, client.clientId).state;
    const later = events.filter(({ event_id }) => event_id > after_id);
    const page = later.slice(0, count ?? 100);
    return { transfer_events: page, has_more: later.length > page.length };
  },
  { limit: EVENTS_LIMIT },
);

const eventList = endpoint(
  "/transfer/event/list",
  {
    ...offsetPaging,
    start_date: instant,
    end_date: instant,
    transfer_id: z.string().nullish(),
    account_id: z.string().nullish(),
    transfer_type: transferType.nullish(),
    event_types: z.array(z.string()).optional(),
    sweep_id: z.string().optional(),
    origination_account_id: z.string().nullish(),
    originator_client_id: z.string().nullish(),
    funding_account_id: z.string().nullish(),
  },
  (body, { sim, client }) => {
    const same = [
      "transfer_id",
      "account_id",
      "transfer_type",
      "sweep_id",
      "originator_client_id",
      "funding_account_id",
    ] as const;
    const requested = (event: TransferEvent) =>
      within(Date.parse(event.timestamp), body.start_date, body.end_date) &&
      same.every((field) => !body[field] || event[field] === body[field]) &&
      (!body.event_types?.length || body.event_types.includes(event.event_type));
    const { page, has_more } = offsetPage(
      ledgerOf(sim, client.clientId).state.events.filter(requested).toReversed(),
      body,
    );
    return { transfer_events: page, has_more };
  },
);

export const TRANSFERS: readonly Endpoint[] = [
  authorizationCreate,
  transferCreate,
  transferGet,
  transferList,
  recordEndpoint(
    "/transfer/cancel",
    transfer,
    "transfer_id",
    { originator_client_id: z.string().optional(), reason_code: z.string().optional() },
    (record, _body, { sim }) => {
      changeRecord(sim, transfer, record, { event_type: "cancelled" });
      return {};
    },
  ),
  eventSync,
  eventList,
  recordEndpoint(
    "/sandbox/transfer/simulate",
    transfer,
    "transfer_id",
    {
      event_type: simulatedStep,
      failure_reason: z.looseObject({ description: z.string().optional() }).nullish(),
      test_clock_id: z.string().nullish(),
      webhook: webhookUrl.optional(),
    },
    (record, { event_type, failure_reason, webhook }, { sim }) => {
      changeRecord(sim, transfer, record, { event_type, failure_reason }, { url: webhook });
      return {};
    },
  ),
  endpoint("/sandbox/transfer/fire_webhook", { webhook: webhookUrl }, ({ webhook }, { sim, client }) => {
    announce(sim, ledgerOf(sim, client.clientId), eventsUpdate(), { url: webhook });
    return {};
  }),
];
