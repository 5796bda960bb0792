/** Reconciliation of what belongs to no item: what is free to read is read once in a window, evenly, and the rest is left alone. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { OTHER_KINDS, resourcesOf, subjectKind } from "../../src/resources/index.ts";
import type { RecordKind } from "../../src/simulator/index.ts";
import { addSubject } from "../../src/sync/subjects.ts";
import { expectRecordEqualsTruth } from "../support/record-oracle.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";
import { checkOnce, reconcile } from "./reconcile-support.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => world.database.query("update sync.quiet_rounds set next_at = now()"));

const drain = async (): Promise<void> => {
  await using worker = await world.sync.start();
  await worker.idle();
};

/** A record that Tartan has read. */
async function known(kind: RecordKind): Promise<string> {
  const [record] = world.simulator.control.records.create(kind, { webhooks: false } as never).records;
  const id = record?.id ?? "";
  await addSubject(world, { integration_id: world.integration.id, kind, id });
  await drain();
  return id;
}

const set = (id: string, columns: string): Promise<unknown> =>
  world.database.query(`update sync.subjects set ${columns} where id = $1`, [id]);

const dueOf = async (id: string, kind: string): Promise<boolean> =>
  (await world.sync.subject(id, kind)).due_at !== null;

it("a payment that Plaid changed without a webhook is read again once in the window, and so is a wallet", async () => {
  const { records } = world.simulator.control;
  const [payment, wallet] = [await known("payment"), await known("wallet")];
  records.change("payment", payment, { webhooks: false } as never);
  for (const id of [payment, wallet]) await set(id, "verified_at = now() - interval '2 hours'");
  {
    await using _checking = await reconcile(world, { windowSeconds: 3600 });
    await until("both are due", async () => (await dueOf(payment, "payment")) && (await dueOf(wallet, "wallet")));
  }
  await drain();
  await expectRecordEqualsTruth(world.database, world.simulator, "payment", payment);
  const { verified_at, status } = await world.sync.subject(payment, "payment");
  expect([status, Number(verified_at) > Date.now() - 60_000]).toEqual(["ok", true]);
});

it("nothing is read again that was read within the window, is known for too long, waits already, or is a transfer", async () => {
  const { database, integration } = world;
  const old = "now() - interval '2 hours'";
  await database.query(
    `insert into sync.subjects (integration_id, kind, id, status, ready, verified_at, created_at, due_at)
    values ($1, 'payment', 'fresh', 'ok', false, now(), now(), null), ($1, 'payment', 'too old', 'ok', false, ${old}, now() - interval '91 days', null),
      ($1, 'payment', 'failing', 'retrying', false, ${old}, now(), null), ($1, 'transfer', 'of the ledger', 'ok', false, ${old}, now(), null),
      ($1, 'link_session', 'forgotten', 'ok', false, ${old}, now(), null), ($1, 'screening', 'quiet', 'ok', false, ${old}, now(), null)`,
    [integration.id],
  );
  await using _checking = await reconcile(world, { windowSeconds: 3600 });
  await until("the screening is due", () => dueOf("quiet", "screening"));
  const { rows } = await database.query(
    "select id from sync.subjects where due_at is not null and id <> 'quiet' and kind <> 'item'",
  );
  expect(rows).toEqual([]);
});

it("subjects that were read together are made due evenly over the window, the longest unread first, by all processes together", async () => {
  const { database, integration } = world;
  const item = await world.sync.synced(1);
  await database.query("delete from sync.subjects where kind <> 'item'");
  // These are never read again, so they are no reason to read others faster.
  await database.query(
    `insert into sync.subjects (integration_id, kind, id, status, ready, verified_at, created_at)
    select $1, 'payment', 'too old ' || n, 'ok', false, now(), now() - interval '91 days' from generate_series(1, 4800) n`,
    [integration.id],
  );
  await database.query(
    `insert into sync.subjects (integration_id, kind, id, status, ready, verified_at)
    select $1, 'screening', 'screening-' || lpad(n::text, 5, '0'), 'ok', false, now() - interval '2 days' + n * interval '1 second' from generate_series(1, 4800) n`,
    [integration.id],
  );
  const due = async () => {
    const statement = "select id from sync.subjects where kind = 'screening' and due_at is not null order by id";
    return (await database.query<{ id: string }>(statement)).rows;
  };
  await using _checking = await reconcile(world, { windowSeconds: 3600 });
  await until("the first round", async () => (await due()).length > 0);
  // Another process begins no second round, before it checks an item.
  await checkOnce(world, item.item_id);
  // Twice a ninety-sixth of them.
  const rows = await due();
  expect([rows.length, rows.at(-1)?.id]).toEqual([100, "screening-00100"]);
});

it("every kind that is reconciled has something that is free to read", () => {
  const reconciled = OTHER_KINDS.filter((kind) => subjectKind(kind)?.reconciledDays !== undefined);
  for (const kind of reconciled)
    expect(
      resourcesOf(kind).some(({ billed }) => billed === undefined),
      kind,
    ).toBe(true);
  expect(OTHER_KINDS.filter((kind) => !reconciled.includes(kind))).toEqual(["link_session", "transfer"]);
});
