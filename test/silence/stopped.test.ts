/** Integrations to which Plaid's webhooks no longer come: when that is an alarm, what its cause is, and when it ends. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { registerProcess } from "../../src/database/processes.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { append } from "../../src/journal/append.ts";
import { silentLogger } from "../../src/logger.ts";
import { registry } from "../../src/metrics.ts";
import type { NewWebhook } from "../../src/model/webhook.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { isFarLonger, latestHours, usualPause } from "../../src/silence/rhythm.ts";
import { Watches } from "../../src/silence/watches.ts";
import { gapWebhook } from "../../src/sync/gap.ts";
import { startWorld, type Json, type World } from "../support/world/index.ts";
import { webhook } from "../support/webhook.ts";

const HOUR_MS = 3_600_000;

let world: World<"api" | "integration">;
let watches: Watches;
beforeAll(async () => {
  world = await startWorld({ api: {}, integration: {} });
  const { database, vault } = world;
  const directory = world.use(await openDirectory({ database, vault, logger: silentLogger, clock: systemClock }));
  watches = new Watches({
    database,
    directory,
    clientFor: ({ plaidUrl, clientId, secret }) =>
      createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock }),
    clock: systemClock,
    logger: silentLogger,
  });
  const facts = { version: "1", roles: ["receiver"], url: "http://a", public_url: null, master_key_ids: null };
  const settings = { relay_allow_http: false, relay_allowed_addresses: [] };
  world.use(await registerProcess({ database, logger: silentLogger, clock: systemClock }, { ...facts, settings }));
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => void world.simulator.control.clearFaults());

/** An integration with a webhook in each of these hours before now, and an item, which has been watched for ten days. */
async function withWebhooks(hoursAgo: readonly number[], { items = 1, status = "pending" } = {}): Promise<string> {
  const id = await world.integration.another();
  for (const item of items === 0 ? [] : world.integration.makeItems(items, 1)) {
    await world.integration.link(item, id);
    await world.database.query("update sync.subjects set status = $2 where id = $1", [item.item_id, status]);
  }
  await arrive(id, ...hoursAgo);
  await look(id);
  await world.database.query(
    "update silence.watches set watched_since = now() - interval '10 days' where integration_id = $1",
    [id],
  );
  return id;
}

const arrive = async (integrationId: string, ...hoursAgo: number[]): Promise<void> =>
  void (await append(
    world.database,
    hoursAgo.map((hours) => webhook({ integrationId, receivedAt: new Date(Date.now() - hours * HOUR_MS) })),
  ));

/** What a check records of an item: Plaid sent a webhook ten minutes ago, and it did not arrive. */
const missed = (integrationId: string, n: number): NewWebhook =>
  gapWebhook(
    { integrationId, itemId: `item-${n}`, environment: "sandbox" },
    { missed: { code_sent: "SYNC_UPDATES_AVAILABLE", sent_at: new Date(Date.now() - 600_000).toISOString() } },
  );

async function look(id: string): Promise<void> {
  await world.database.query(
    "insert into silence.watches (integration_id, look_at) values ($1, now()) on conflict do nothing",
    [id],
  );
  await world.database.query(
    "update silence.watches set look_at = case when integration_id = $1 then now() else now() + interval '1 hour' end",
    [id],
  );
  await watches.work(new AbortController().signal);
}

const stoppedOf = async (id: string): Promise<Json> => {
  const { body } = await world.api.call("GET /v1/status");
  return body.silence.stopped.find((each: Json) => each.integration_id === id);
};

const eventsOf = async (id: string): Promise<Json[]> => {
  const { rows } = await world.database.query<{ payload: Buffer }>(
    "select payload from events.events where integration_id = $1 and type like 'integration.%' order by id",
    [id],
  );
  return rows.map(({ payload }) => JSON.parse(payload.toString()));
};

const HOURLY = Array.from({ length: 25 }, (_, n) => 31 - n);

it("an integration whose webhooks came each hour and have not come for seven hours is an alarm, once, until one comes again", async () => {
  const id = await withWebhooks(HOURLY);
  for (const _ of [1, 2, 3]) await look(id);
  expect(await stoppedOf(id)).toMatchObject({
    cause: "unknown",
    stopped_at: expect.any(String),
    next_step: expect.any(String),
  });
  const [stopped, ...more] = await eventsOf(id);
  expect(more).toEqual([]);
  expect(stopped).toMatchObject({
    type: "integration.webhooks_stopped",
    item_id: null,
    data: { cause: "unknown", usual_pause_s: 3600, missed: 0, silent_since: (await stoppedOf(id)).silent_since },
  });
  await watches.work(new AbortController().signal);
  expect(await registry.getSingleMetricAsString("tartan_webhooks_stopped")).toContain('cause="unknown"} 1');
  await arrive(id, 0);
  for (const _ of [1, 2]) await look(id);
  expect(await stoppedOf(id)).toBeUndefined();
  expect((await eventsOf(id)).slice(1)).toMatchObject([
    {
      type: "integration.webhooks_resumed",
      data: { silent_since: stopped.data.silent_since, webhook_id: expect.stringMatching(/^whk_/) },
    },
  ]);
});

it.each([
  ["has no items", HOURLY, { items: 0 }],
  ["never had a webhook", [], {}],
  ["was silent for five hours only", HOURLY.map((hours) => hours - 2), {}],
  ["has pauses of a day, and was silent for two", [216, 192, 168, 144, 120, 96, 72, 48], {}],
  ["had too few webhooks to have a rhythm", [100, 76], {}],
  ["is in its first night", HOURLY.slice(0, 10).map((hours) => hours - 14), {}],
  ["is in its first week, and was silent for a weekend", [144, 136, 120, 112, 96, 88, 72, 64], {}],
  ["has only items that ended", HOURLY, { status: "ended" }],
  ["has only items that wait for their user", HOURLY, { status: "needs_user" }],
] as const)("an integration that %s is no alarm", async (_what, hours, options) => {
  const id = await withWebhooks(hours, options);
  await look(id);
  expect(await stoppedOf(id)).toBeUndefined();
  expect(await eventsOf(id)).toEqual([]);
});

it("time in which no process looked does not count as silence, nor do the webhooks count that Plaid sent in it", async () => {
  const id = await withWebhooks(HOURLY);
  await append(
    world.database,
    [1, 2, 3].map((n) => missed(id, n)),
  );
  await world.database.query(
    "update silence.watches set looked_at = now() - interval '1 day' where integration_id = $1",
    [id],
  );
  await look(id);
  expect(await stoppedOf(id)).toBeUndefined();
});

it("while Plaid itself does not answer there is no alarm, and the status says that it is Plaid", async () => {
  const id = await withWebhooks(HOURLY);
  world.simulator.control.addFault({ kind: "server_error", endpoint: "/institutions/get" });
  await look(id);
  expect(await stoppedOf(id)).toMatchObject({ cause: "plaid_down", stopped_at: null });
  expect(await eventsOf(id)).toEqual([]);
  world.simulator.control.clearFaults();
  await look(id);
  expect(await eventsOf(id)).toMatchObject([{ type: "integration.webhooks_stopped" }]);
});

it("three webhooks that Plaid says it sent since the last one that came are an alarm however short the silence is", async () => {
  const id = await withWebhooks([1]);
  await append(world.database, [missed(id, 1), missed(id, 2)]);
  await look(id);
  expect(await eventsOf(id)).toEqual([]);
  await append(world.database, [missed(id, 3)]);
  await look(id);
  expect(await eventsOf(id)).toMatchObject([{ data: { missed: 3, usual_pause_s: null } }]);
});

it("the cause of an alarm says what Plaid got, why Tartan refused, where Plaid sends, or that Plaid sent none", async () => {
  const id = await withWebhooks(HOURLY);
  const causeNow = async () => {
    await look(id);
    const { cause, message } = await stoppedOf(id);
    return [cause, message];
  };
  const { database } = world;
  const refuse = (reason: string) =>
    database.query("insert into journal.refusals (integration_id, reason, count) values ($1, $2, 12)", [id, reason]);
  await refuse("webhook_secret_missing");
  expect(await causeNow()).toEqual(["refused", expect.stringContaining("12 of them for webhook_secret_missing")]);
  await database.query(
    "insert into silence.sent_lists (integration_id, next_at, state, read_to) values ($1, now(), 'available', now())",
    [id],
  );
  expect(await causeNow()).toEqual([
    "none_sent",
    "Plaid's own list says that it has sent none since then, so none was lost.",
  ]);
  await database.query(
    "insert into plaid.items (integration_id, item_id, webhook, raw) values ($1, 'an-item', 'https://example.com/other', '{}')",
    [id],
  );
  // One that Plaid has not tried yet is no failure.
  await database.query(
    `insert into silence.plaid_deliveries (integration_id, message_id, webhook_type, webhook_code, sent_at, status, attempts, to_intake, outcome)
    values ($1, 'wm_0', 'ITEM', 'ERROR', now() - interval '10 minutes', 'PENDING', 0, true, 'open')`,
    [id],
  );
  expect(await causeNow()).toEqual([
    "url_elsewhere",
    "Plaid sends the webhooks of 1 of 1 items to another URL than this intake's, or to none.",
  ]);
  await database.query(
    `insert into silence.plaid_deliveries (integration_id, message_id, webhook_type, webhook_code, sent_at, status,
      last_http_status, attempts, last_attempt_at, to_intake, outcome)
    values ($1, 'wm_1', 'ITEM', 'ERROR', now() - interval '1 hour', 'FAILED', 503, 1, now() - interval '1 hour', true, 'open')`,
    [id],
  );
  const [failing, got] = await causeNow();
  expect([failing, got]).toEqual([
    "failing",
    expect.stringMatching(/^Plaid got 503 from you at .*Z\. It gets errors for more than 90 %/),
  ]);
  await refuse("signature_invalid");
  const [refused, why] = await causeNow();
  expect([refused, why]).toEqual(["refused", expect.stringContaining("12 of them for signature_invalid")]);
  await database.query("update tartan.processes set roles = '{sync}'");
  expect((await causeNow())[0]).toBe("no_receiver");
  await database.query("update tartan.processes set roles = '{receiver}'");
  expect(await eventsOf(id)).toHaveLength(1);
});

it("the rhythm is the longest pause of two weeks, and a silence is far longer from three pauses and six hours on, in the first week from five", () => {
  const hourly = (last: number, pause = 1) => [...Array.from({ length: last + 1 }, (_, hour) => hour), last + pause];
  const isAlarmAfter = (hours: number, ...rhythm: number[]) =>
    expect([isFarLonger(hours * 3600, rhythm), isFarLonger(hours * 3600 + 1, rhythm)]).toEqual([false, true]);
  expect(usualPause([1, 25])).toBeNull();
  expect(usualPause([1, 2, 24])).toBeNull();
  expect(usualPause([1, 2, 5, 25])).toBe(20 * 3600);
  isAlarmAfter(6, ...hourly(200));
  isAlarmAfter(9, ...hourly(200, 3));
  isAlarmAfter(6, ...hourly(24));
  isAlarmAfter(15, ...hourly(24, 3));
  expect(isFarLonger(1e9, [1, 2, 3])).toBe(false);
  // However long the silence is.
  expect(latestHours([1000, 1, 2, 1000 - 14 * 24, 2])).toEqual([1000 - 14 * 24, 1000]);
});
