/** What really happens is as the schemas in docs/events say: every type, made by the code that makes it. */
import { readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormatsModule from "ajv-formats";
import { expect, it } from "vitest";
import { schemaFile } from "../../../../src/api/docs/event-schemas.ts";
import { updateIntegration } from "../../../../src/lifecycle/integrations.ts";
import { unlinkItem } from "../../../../src/lifecycle/items.ts";
import { eraseSubject } from "../../../../src/lifecycle/subjects.ts";
import { eraseWithdrawn } from "../../../../src/lifecycle/revocations.ts";
import { EVENT_TYPES, type EventType } from "../../../../src/events/event-types.ts";
import { recordEvents } from "../../../../src/events/events.ts";
import { silentLogger } from "../../../../src/logger.ts";
import type { PrefetchedDelivery } from "../../../../src/relay/delivery/prefetcher.ts";
import { FRESH, type Health } from "../../../../src/relay/delivery/circuit-breaker.ts";
import { Dispatcher } from "../../../../src/relay/dispatch/dispatcher.ts";
import { readEvents } from "../../../../src/relay/feed/event-feed.ts";
import { deliveryEvents, destinationEvents } from "../../../../src/relay/delivery/operator-events.ts";
import { expiredEvent } from "../../../../src/quarantine/expire.ts";
import { resumedEvent, stoppedEvent } from "../../../../src/silence/watch-events.ts";
import { checkOverdue } from "../../../../src/relay/ledger/overdue.ts";
import type { LoadedDestination } from "../../../../src/relay/model/types.ts";
import { ENABLABLE, resourcesOf, subjectKind } from "../../../../src/resources/index.ts";
import { RECORDS, type RecordKind } from "../../../../src/simulator/records/index.ts";
import { requestSync } from "../../../../src/sync/queries.ts";
import { addSubject, requestSubjectSync, tokenOf } from "../../../../src/sync/subjects.ts";
import { introduceItem } from "../../../support/link.ts";
import { until } from "../../../support/until.ts";
import { openEventReader } from "../../../sync/event-reader.ts";
import { ALL_PRODUCTS, BOOK_NAMES, startWorld, type Item, type World } from "../../../support/world/index.ts";

type Schema = {
  type?: unknown;
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  [key: string]: unknown;
};

/** With nothing but what is declared, so that a field that nobody described is found. */
function closed(schema: Schema): Schema {
  const { properties } = schema;
  if (!properties) return schema;
  const inner = Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, closed(each)]));
  return { ...schema, properties: inner, additionalProperties: false };
}

function validators(): Map<string, ValidateFunction> {
  const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });
  (addFormatsModule as unknown as (ajv: Ajv2020) => void)(ajv);
  const folder = new URL("../../../../docs/events/", import.meta.url);
  const read = (type: string) => JSON.parse(readFileSync(new URL(schemaFile(type), folder), "utf8")) as Schema;
  return new Map(Object.keys(EVENT_TYPES).map((type) => [type, ajv.compile(closed(read(type)))]));
}

/** An Item's whole life. */
async function live(world: World<"sync">): Promise<void> {
  const { control, url, clientId: client_id, secret } = world.simulator;
  const { change, notifyAndWork } = openEventReader(world);
  const item = await world.sync.synced(120);
  await change(item, { add: 2, modify: 1, remove: 1 });
  control.breakItem(item.item_id, { webhooks: false });
  await notifyAndWork(item, "ERROR");
  control.repairItem(item.item_id, { webhooks: false });
  await notifyAndWork(item, "LOGIN_REPAIRED");
  await fetch(`${url}/item/webhook/update`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id, secret, access_token: item.access_token, webhook: "https://hooks.example/new" }),
  });
  await notifyAndWork(item, "WEBHOOK_UPDATE_ACKNOWLEDGED");
  await notifyAndWork(item, "PENDING_EXPIRATION");
  await notifyAndWork(item, "NEW_ACCOUNTS_AVAILABLE");
  await notifyAndWork(item, "USER_ACCOUNT_REVOKED");
  await notifyAndWork(item, "PRODUCT_PERMISSIONS_REQUIRED", "AUTH");
  await notifyAndWork(item, "UPDATED");
  control.revokeItem(item.item_id, { webhooks: false });
  await notifyAndWork(item, "USER_PERMISSION_REVOKED");
  await liveWithProducts(world);
  const other = await world.sync.synced(1);
  await unlinkItem(world.database, world.integration.id, other.item_id);
}

/** A login that is linked twice, and once more after the first two are gone; and one that is withdrawn and erased. */
async function liveTwice(world: World<"sync">): Promise<void> {
  const { work, notifyAndWork } = openEventReader(world);
  const items = world.integration.makeItems(4, 1, { user: "user_good", institution_id: "ins_109508" });
  const link = async (item: Item | undefined, user_id = "a user") => {
    if (!item) throw new Error("no item");
    await introduceItem(world, { integration_id: world.integration.id, ...item, user_id });
    await work();
  };
  await link(items[0]);
  await link(items[1]);
  for (const item of items.slice(0, 2)) {
    world.simulator.control.revokeItem(item.item_id, { webhooks: false });
    await notifyAndWork(item, "USER_PERMISSION_REVOKED");
  }
  await link(items[2]);
  await link(items[3], "another user");
  const { database, vault, integration, simulator } = world;
  await updateIntegration(database, vault, integration.id, { revoked_data: "erase" });
  for (const item of items.slice(3)) {
    simulator.control.revokeItem(item.item_id, { webhooks: false });
    await notifyAndWork(item, "USER_PERMISSION_REVOKED");
  }
  await eraseWithdrawn(database);
}

/** An item with something of every product that is mirrored. */
async function liveWithProducts(world: World<"sync">): Promise<void> {
  const { control } = world.simulator;
  const [item] = world.integration.makeItems(1, 3, { products: ALL_PRODUCTS });
  if (!item) throw new Error("no item");
  // Account numbers differ by country.
  const foreign = ["ins_900005", "ins_900006"].flatMap((institution_id) =>
    world.integration.makeItems(1, 3, { products: ["auth"], institution_id }),
  );
  for (const each of foreign) await world.integration.link(each);
  for (const subtype of ["brokerage", "credit card", "mortgage", "student", "line of credit"] as const)
    control.addAccount(item.item_id, { subtype, webhooks: false });
  for (const name of BOOK_NAMES) control.change(item.item_id, name, { add: 20, webhooks: false });
  await world.integration.link(item);
  await openEventReader(world).work();
  // What Plaid bills for every request is read only when it is named.
  const billedEach = resourcesOf("item").filter(({ billed }) => billed === "each");
  await requestSync(world.database, item.item_id, { resources: billedEach.map(({ name }) => name) });
  await openEventReader(world).work();
  for (const each of [item, ...foreign]) await liveOfProcessors(world, each);
}

/** The accounts of an item, as a processor reads them. */
async function liveOfProcessors(world: World<"sync">, { item_id, access_token }: Item): Promise<void> {
  const { control, url, clientId: client_id, secret } = world.simulator;
  const billedEach = resourcesOf("processor_account").filter(({ billed }) => billed === "each");
  for (const { account_id } of control.accounts(item_id).accounts) {
    const response = await fetch(`${url}/processor/token/create`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ client_id, secret, access_token, account_id, processor: "dwolla" }),
    });
    const { processor_token } = (await response.json()) as { processor_token: string };
    const which = { integration_id: world.integration.id, kind: "processor_account", id: String(account_id) };
    await addSubject(world, { ...which, token: processor_token });
    await requestSubjectSync(world.database, which, { resources: billedEach.map(({ name }) => name) });
  }
  await openEventReader(world).work();
}

/** Two sessions of Link: the item of one is adopted, and the public token of the other is exchanged by somebody else. */
async function liveOfLink(world: World<"sync" | "linking">): Promise<void> {
  const { control, url, clientId: client_id, secret } = world.simulator;
  for (const isSpent of [false, true]) {
    const item_ids = world.integration.makeItems(1, 1).map(({ item_id }) => item_id);
    const { id, token, truth } = only(control.records.create("link_session", { item_ids, webhooks: false }).records);
    const { link_sessions } = truth["link_sessions"] as LinkSessions;
    const { public_token } = only(only(link_sessions).results.item_add_results);
    if (isSpent) {
      await fetch(`${url}/item/public_token/exchange`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ client_id, secret, public_token }),
      });
    }
    const fields = { link_session_id: id, link_token: token, public_token };
    await world.sync.notifyOf({ kind: "link_session", id }, "LINK", "ITEM_ADD_RESULT", fields);
  }
  await using _worker = await world.linking.start();
  await until("the adoptions", async () => {
    const { rows } = await world.database.query<{ n: number }>(
      "select count(settled_at)::int as n from linking.public_tokens",
    );
    return rows[0]?.n === 2;
  });
}

interface LinkSessions {
  link_sessions: { results: { item_add_results: { public_token: string }[] } }[];
}

function only<T>([one]: readonly T[]): T {
  if (one === undefined) throw new Error("there is none");
  return one;
}

const RECORD_KINDS = Object.keys(RECORDS) as RecordKind[];

/** Each kind that belongs to no item, with all that Plaid has of it. */
async function liveWithoutItem(world: World<"sync">): Promise<void> {
  const { records } = world.simulator.control;
  for (const kind of RECORD_KINDS.filter((each) => subjectKind(each) !== undefined)) {
    // The seed decides whether a user has uploaded documents; one of six has.
    const count = kind === "user" ? 6 : 1;
    const made = kind === "transfer_ledger" ? records.list(kind) : records.create(kind, { count });
    for (const { id, token } of made.records) {
      const needed = tokenOf(subjectKind(kind)?.access) === null ? undefined : (token ?? undefined);
      await addSubject(world, { integration_id: world.integration.id, kind, id, token: needed });
    }
  }
  await openEventReader(world).work();
  const erased = { kind: "payment", id: "erased" };
  await addSubject(world, { integration_id: world.integration.id, ...erased });
  await eraseSubject(world.database, world.integration.id, erased);
}

const ILL: Health = {
  ...FRESH,
  breaker: "open",
  openings: 1,
  hold_until: new Date(),
  failing_since: new Date(),
  failing_ms: 3_600_000,
  last_failure_at: new Date(),
  failures: 12,
  last_error: "timeout",
};

const SILENCE = { silentSince: new Date(), missed: 3, usual_pause_s: null };

/** Events for operators, and of an integration that is silent. */
async function trouble({ database, integration }: World<"sync">): Promise<void> {
  const delivery = {
    id: "0192f3a8-7d51-70d2-9b6c-4e8f1a2b3c4d",
    eventId: "0192f3a8-7d4c-7a1e-8c5b-2f9d6e3a7b10",
    eventType: "item.error",
    integrationId: integration.id,
    itemId: "an-item",
    userId: null,
    environment: "sandbox",
    attempts: 7,
  } as PrefetchedDelivery;
  const disableAfterS = 432_000;
  const events = [
    ...deliveryEvents({ ...delivery, tries: 3 }, "dst_1", null, {
      outcome: "retry",
      cause: "timeout",
      dueInMs: 1,
    } as never),
    ...deliveryEvents({ ...delivery, tries: 7 }, "dst_1", null, { outcome: "dead", cause: "timeout" } as never),
    ...deliveryEvents({ ...delivery, tries: 5 }, "dst_1", null, { outcome: "delivered", cause: null } as never),
    ...destinationEvents("dst_1", FRESH, ILL, ["opened", { failing: 50 }, "disabled"], null, {
      disableAfterS,
    } as LoadedDestination),
    stoppedEvent(integration.id, { ...SILENCE, cause: "unknown", message: "No request.", next_step: "Check the URL." }),
    resumedEvent(integration.id, { stoppedAt: null, silentSince: null, resumedAt: null, webhook: delivery.id }),
    expiredEvent(integration.id, [{ webhooks: 2, firstAt: new Date(), lastAt: new Date(), failure: "TIMEOUT" }]),
    ...destinationEvents("dst_1", ILL, FRESH, ["recovered"], "gone", { disableAfterS } as LoadedDestination),
  ];
  await database.transaction((tx) => recordEvents(tx, events));
  await database.query("update events.outbox set written_at = now() - interval '1 hour'");
  await checkOverdue({ database, logger: silentLogger });
}

it("every recorded event matches its schema, and every type is recorded", { timeout: 60_000 }, async () => {
  await using world = await startWorld({
    integration: {
      enabled_resources: [...ENABLABLE],
      consumer_report_permissible_purpose: "ACCOUNT_REVIEW_CREDIT",
      adopt_items: true,
    },
    sync: {},
    linking: {},
  });
  await live(world);
  await liveWithoutItem(world);
  await liveTwice(world);
  await liveOfLink(world);
  await trouble(world);
  const dispatcher = new Dispatcher(world.database, "test");
  while ((await dispatcher.dispatch()).rows > 0);
  const schemas = validators();
  const types = new Set<string>();
  const families = [...new Set(Object.keys(EVENT_TYPES).map((type) => `${type.split(".")[0]}.*`))];
  for (let cursor = "start"; ;) {
    const page = await readEvents(world.database, { cursor, types: families, history: true, limit: 500 });
    if (page.events.length === 0) break;
    cursor = page.next_cursor;
    for (const { type, text } of page.events) {
      types.add(type);
      const validate = schemas.get(type);
      validate?.(JSON.parse(text));
      expect([type, validate?.errors, text]).toEqual([type, null, text]);
    }
  }
  const all: EventType[] = Object.keys(EVENT_TYPES) as EventType[];
  expect([...types].toSorted()).toEqual(all.toSorted());
});
