/**
 * Rows that name other subjects: those are read when the row is new, and again whenever such a row is added. The ledger of transfers, whose
 * rows do so, and of which an integration has one.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { eraseSubject } from "../../src/lifecycle/subjects.ts";
import { addSubject } from "../../src/sync/subjects.ts";
import { expectRecordEqualsTruth } from "../support/record-oracle.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { reconcile } from "./reconcile-support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

/** As if Plaid had sent word of the ledger, and a worker had done all that follows. */
async function followLedger(): Promise<void> {
  await world.sync.notifyOf({ kind: "transfer_ledger", id: "all" }, "TRANSFER", "TRANSFER_EVENTS_UPDATE");
  await using worker = await world.sync.start();
  await worker.idle();
}

const statusOf = async (id: string): Promise<unknown> =>
  (await world.database.query<{ status: string }>("select status from plaid.transfers where transfer_id = $1", [id]))
    .rows[0]?.status;

it("a transfer that was read a moment ago is read again when the ledger has an event of it, and no other transfer is", async () => {
  const { records } = world.simulator.control;
  const [one, other] = records.create("transfer", { count: 2 }).records.map(({ id }) => id) as [string, string];
  await followLedger();
  expect([await statusOf(one), await statusOf(other)]).toEqual(["pending", "pending"]);
  expect(await world.sync.subject(one, "transfer")).toMatchObject({ status: "ok", verified_at: expect.any(Date) });
  const asked = world.simulator.asked("/transfer/get");
  records.change("transfer", one, { event_type: "posted" } as never);
  await followLedger();
  expect([await statusOf(one), await statusOf(other)]).toEqual(["posted", "pending"]);
  expect(world.simulator.asked("/transfer/get")).toBe(asked + 1);
  await followLedger();
  expect(world.simulator.asked("/transfer/get")).toBe(asked + 1);
});

it("an event of a sweep, which has an empty transfer_id, is mirrored and makes no transfer known", async () => {
  const { records } = world.simulator.control;
  const asked = world.simulator.asked("/transfer/get");
  records.change("transfer_ledger", "all", { sweep: "7.50" });
  await followLedger();
  await expectRecordEqualsTruth(world.database, world.simulator, "transfer_ledger", "all");
  const { rows } = await world.database.query(
    "select event_type, transfer_amount, sweep_amount from plaid.transfer_events where transfer_id = ''",
  );
  expect(rows).toEqual([{ event_type: "sweep.pending", transfer_amount: null, sweep_amount: "-7.50" }]);
  expect(world.simulator.asked("/transfer/get")).toBe(asked);
  expect((await world.database.query("select from sync.subjects where id = ''")).rows).toEqual([]);
  expect(await world.sync.subject("all", "transfer_ledger")).toMatchObject({ status: "ok", last_error: null });
});

it("a transfer that is added with its id alone is read", async () => {
  const [made] = world.simulator.control.records.create("transfer", { webhooks: false }).records;
  const id = made?.id ?? "";
  await addSubject(world, { integration_id: world.integration.id, kind: "transfer", id });
  await using worker = await world.sync.start();
  await worker.idle();
  await expectRecordEqualsTruth(world.database, world.simulator, "transfer", id);
  expect(await world.sync.subject(id, "transfer")).toMatchObject({ status: "ok", verified_at: expect.any(Date) });
});

it("an event of the ledger whose webhook was lost is read by reconciliation once the ledger was not read for the window", async () => {
  const { database, simulator } = world;
  const [made] = simulator.control.records.create("transfer", { webhooks: false }).records;
  await database.query(
    "update sync.subjects set verified_at = now() - interval '2 hours' where kind = 'transfer_ledger'",
  );
  await using worker = await world.sync.start();
  await using _checks = await reconcile(world, { windowSeconds: 3600 });
  await until("the transfer", async () => (await statusOf(made?.id ?? "")) === "pending");
  await worker.idle();
  await expectRecordEqualsTruth(database, simulator, "transfer_ledger", "all");
});

it("the ledger of transfers is not added by another id than its own, nor for one user", async () => {
  const ledger = { integration_id: world.integration.id, kind: "transfer_ledger" };
  const added = addSubject(world, { ...ledger, id: "ldg-1" });
  await expect(added).rejects.toMatchObject({ code: "invalid_request", fields: { id: "must be all" } });
  const owned = addSubject(world, { ...ledger, id: "all", user_id: "ann" });
  await expect(owned).rejects.toMatchObject({ fields: { user_id: "does not belong to a transfer_ledger" } });
  expect((await world.database.query("select from sync.subjects where id = 'ldg-1'")).rows).toEqual([]);
});

it("a ledger of transfers that is erased leaves the events of other integrations, and is read from its start again", async () => {
  const { database, integration, simulator } = world;
  await database.query(
    "insert into plaid.transfer_events (integration_id, event_id, raw) values ('svi_other', '1', '{}')",
  );
  await eraseSubject(database, integration.id, { kind: "transfer_ledger", id: "all" });
  const events = async (): Promise<unknown[]> =>
    (await database.query("select integration_id from plaid.transfer_events")).rows;
  expect(await events()).toEqual([{ integration_id: "svi_other" }]);
  await database.query("delete from plaid.transfer_events");
  await followLedger();
  expect((await events()).length).toBeGreaterThan(1);
  await expectRecordEqualsTruth(database, simulator, "transfer_ledger", "all");
});
