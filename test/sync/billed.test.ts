/** Resources that Plaid bills by request, end to end: requested only where the integration enables them by name. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock as clock } from "../../src/clock.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { updateIntegration } from "../../src/lifecycle/integrations.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { openCallCounts, readCalls, type CallCounts } from "../../src/plaid/calls.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { PlaidError, UNREADABLE_ANSWER } from "../../src/plaid/errors.ts";
import { isBilledEndpoint, RESOURCES, resourcesOf } from "../../src/resources/index.ts";
import type { Resource } from "../../src/resources/types.ts";
import { failureOf } from "../../src/sync/failure.ts";
import { addSubject, getSubject, requestSubjectSync } from "../../src/sync/subjects.ts";
import type { Sync } from "../../src/sync/sync.ts";
import { startWorld, type World } from "../support/world/index.ts";

const NAME = "cra_lend_score";
const BILLED = resourcesOf("user").filter(({ billed }) => billed !== undefined);

let world: World<"sync">;
let counts: CallCounts;
let worker: Sync;
let which: { kind: string; id: string; integration_id: string };
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  counts = world.use(openCallCounts({ database: world.database, logger, isBilled: isBilledEndpoint }));
  worker = await world.sync.start({
    clientFor: ({ id, plaidUrl: baseUrl, clientId, secret }) =>
      counts.counted(id, createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 10_000, clock })),
  });
  const [user] = world.simulator.control.records.create("user", { webhooks: false, items: 1 } as never).records;
  which = { kind: "user", id: user?.id ?? "", integration_id: world.integration.id };
  await addSubject(world, which);
  await worker.idle();
});
afterAll(() => world[Symbol.asyncDispose]());

const enable = (names: string[]) =>
  updateIntegration(world.database, world.vault, world.integration.id, { enabled_resources: names });
const billedCalls = async () => (await readCalls(world.database, world.integration.id, {})).total.billed;
const stateOf = async (name: string) =>
  (await getSubject(world.database, which)).resources.find(({ resource }) => resource === name);

it("a billed resource that is not enabled is never requested, says so, and holds nothing else up", async () => {
  expect(BILLED.map(({ name }) => name)).toContain(NAME);
  expect(await billedCalls()).toBe(0);
  for (const { name } of BILLED)
    expect(await stateOf(name)).toMatchObject({ absent: "not_enabled", verified_at: null });
  expect((await getSubject(world.database, which)).verified_at).not.toBeNull();
});

it("a request for a billed resource that is not enabled is refused, and names the setting", async () => {
  await expect(requestSubjectSync(world.database, which, { resources: [NAME] })).rejects.toMatchObject({
    code: "not_enabled",
    message: expect.stringContaining("enabled_resources"),
  });
  await requestSubjectSync(world.database, which, { full: true });
  await worker.idle();
  expect(await billedCalls()).toBe(0);
});

it("a resource that is enabled is read at once, counted as billed, and belongs to the subject's verified_at", async () => {
  await enable([NAME]);
  await worker.idle();
  expect(await billedCalls()).toBe(1);
  expect(await stateOf(NAME)).toMatchObject({ absent: null, verified_at: expect.any(String) });
  expect((await getSubject(world.database, which)).verified_at).not.toBeNull();
  await requestSubjectSync(world.database, which, { resources: [NAME] });
  await worker.idle();
  expect(await billedCalls()).toBe(2);
});

it("a resource that is disabled again is not requested any more, and the subject stays verified without it", async () => {
  await enable([]);
  await requestSubjectSync(world.database, which);
  await worker.idle();
  expect(await billedCalls()).toBe(2);
  expect(await stateOf(NAME)).toMatchObject({ absent: "not_enabled" });
});

it("a resource is asked for with the purpose that was set with it, by a process that knows the integration as it was before", async () => {
  const { database, vault, integration, sync } = world;
  await worker[Symbol.asyncDispose]();
  const directory = world.use(await openDirectory({ database, vault, logger, clock }));
  const before = await directory.find(integration.id);
  await using other = await sync.start({ directory: { find: () => Promise.resolve(before) } });
  await updateIntegration(database, vault, integration.id, {
    enabled_resources: ["cra_monitoring_insights"],
    consumer_report_permissible_purpose: "ACCOUNT_REVIEW_CREDIT",
  });
  await other.idle();
  const { status, resources } = await getSubject(database, which);
  expect(status).toBe("ok");
  expect(resources.find(({ resource }) => resource === "cra_monitoring_insights")).toMatchObject({
    absent: null,
    verified_at: expect.any(String),
  });
});

it("every part of a report of Plaid Check is billed, since Plaid bills it when it is read", () => {
  const parts = resourcesOf("user").filter(({ fetch }) => fetch.endpoint.startsWith("/cra/"));
  expect(parts.length).toBeGreaterThanOrEqual(9);
  expect(parts.filter(({ billed }) => billed === undefined).map(({ name }) => name)).toEqual([]);
});

it("an answer that cannot be read is not asked for again every hour where Plaid may have billed it", () => {
  const unreadable = new PlaidError({
    errorType: "NETWORK",
    errorCode: UNREADABLE_ANSWER,
    httpStatus: 200,
    retryClass: "backoff",
  });
  const classes = (some: readonly Resource[]) => new Set(some.map((each) => failureOf(unreadable, each).class));
  expect(classes(RESOURCES.filter(({ billed }) => billed !== undefined))).toEqual(new Set(["trigger"]));
  expect(classes(RESOURCES.filter(({ billed }) => billed === undefined))).toEqual(new Set(["backoff"]));
});

it("no resource with the row of a subject is billed, since nothing could be said of the subject without it", () => {
  for (const { kind } of BILLED.map(({ subject }) => subject)) expect(resourcesOf(kind)[0]?.billed).toBeUndefined();
});
