/** Rows that name other subjects: those are read when the row is new, and again whenever such a row is added. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { markAll } from "../support/mark.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

/** As if Plaid had sent word of the ledger, and a worker had done all that follows. */
async function followLedger(): Promise<void> {
  const about = { integrationId: world.integration.id, itemId: null, subject: { kind: "transfer_ledger", id: "all" } };
  const type = { webhookType: "TRANSFER", webhookCode: "TRANSFER_EVENTS_UPDATE", proof: null };
  await append(world.database, [webhook({ ...about, ...type })]);
  await markAll(world.database);
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
