/** Logins whose request does not end well: the webhook cannot be stored, the process or the lock goes away. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { Database, Queryable } from "../../src/database/types.ts";
import { createListener } from "../../src/listeners/listeners.ts";
import { ITEMS } from "../../src/listeners/queries.ts";
import { openLogins } from "../../src/listeners/logins.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { silentLogger } from "../../src/logger.ts";
import { TartanError } from "../../src/errors.ts";
import type { ArrivedWebhook, Intake } from "../../src/model/intake.ts";
import type { Accepted } from "../../src/model/webhook.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"receiver">;
let intake: Intake & AsyncDisposable;
beforeAll(async () => {
  world = await startWorld({ receiver: {} });
  const { database, vault } = world;
  intake = world.use(openIntake({ database, vault, queueMax: 100, logger: silentLogger }));
});
afterAll(() => world[Symbol.asyncDispose]());

async function userWith(count: number) {
  const userId = `user-${randomBytes(4).toString("hex")}`;
  await world.database.query(
    `insert into tartan.items (integration_id, item_id, user_id, access_token_sealed)
    select $1, $2 || '-item-' || n, $2, '\\x00' from generate_series(1, $3::int) n`,
    [world.receiver.integrationId, userId, count],
  );
  return userId;
}

async function listen(accept: (webhook: ArrivedWebhook) => Promise<Accepted>, database = world.database) {
  const { id, token } = await createListener(world.database, { kind: "generic" });
  const logins = openLogins({ database, intake: { accept: accept as Intake["accept"] } });
  return (...users: string[]) => {
    const body = Buffer.from(JSON.stringify(users.map((user_id) => ({ user_id }))));
    return logins.take({ listenerId: id, authorization: token, body });
  };
}

const storedFor = async (userId: string): Promise<string[]> => {
  const { rows } = await world.database.query<{ item_id: string }>(
    "select item_id from journal.webhooks where user_id = $1 order by item_id",
    [userId],
  );
  return rows.map(({ item_id }) => item_id);
};

const full = () => new TartanError("overloaded", "Too many webhooks wait to be stored.", { retryAfterSeconds: 5 });

it("a login whose webhooks are stored only in part is refused, and its repeat stores the rest once", async () => {
  const userId = await userWith(5);
  let left = 2;
  const login = await listen(async (webhook) => {
    if (left === 0) throw full();
    left -= 1;
    return await intake.accept(webhook);
  });
  await expect(login(userId)).rejects.toMatchObject({ code: "overloaded", retryAfterSeconds: 5 });
  expect(await storedFor(userId)).toHaveLength(2);
  left = 5;
  expect(await login(userId)).toMatchObject({ webhooks: 3, fresh: 2 });
  expect(new Set(await storedFor(userId)).size).toBe(5);
  expect(await storedFor(userId)).toHaveLength(5);
});

it("a login whose process is gone when its webhook is stored, and before its sender is answered, makes no other webhook when it is sent again", async () => {
  const userId = await userWith(2);
  let stored = 0;
  const login = await listen(async (webhook) => {
    const accepted = await intake.accept(webhook);
    stored += 1;
    // What Postgres sees of a process that was killed: the connection that holds the user's lock ends.
    if (stored === 2)
      await world.database.query(
        `select pg_terminate_backend(l.pid) from pg_locks l
        where l.relation = 'listeners.users'::regclass and l.mode = 'RowShareLock' and l.granted`,
      );
    return accepted;
  });
  await expect(login(userId)).rejects.toMatchObject({ code: "database_unavailable" });
  expect(await storedFor(userId)).toHaveLength(2);
  expect(await login(userId)).toMatchObject({ webhooks: 0, fresh: 2 });
  expect(await storedFor(userId)).toHaveLength(2);
});

it("a login that meets another one of its user, whose webhook is just being stored, waits for it and makes none", async () => {
  const userId = await userWith(1);
  const steps: string[] = [];
  let store: () => void = () => undefined;
  const mayStore = new Promise<void>((resolve) => (store = resolve));
  const first = await listen(async (webhook) => {
    steps.push("asked");
    await mayStore;
    return await intake.accept(webhook);
  });
  const second = await listen((webhook) => intake.accept(webhook));
  const one = first(userId);
  await until("the first login stores its webhook", () => steps.length > 0);
  const other = second(userId).finally(() => steps.push("other"));
  // The second waits for a lock, as Postgres says.
  await until("the second login waits", async () => {
    const { rows } = await world.database.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%listeners.users%' and datname = current_database()",
    );
    return rows.length > 0;
  });
  expect(steps).toEqual(["asked"]);
  store();
  expect(await one).toMatchObject({ webhooks: 1 });
  expect(await other).toMatchObject({ webhooks: 0, fresh: 1 });
  expect(await storedFor(userId)).toHaveLength(1);
});

it("a login that waits too long for another one of its user is refused to be sent again", async () => {
  const userId = await userWith(1);
  const impatient: Database = Object.create(world.database, {
    transaction: {
      value: (work: (tx: Queryable) => Promise<unknown>) =>
        world.database.transaction(async (tx) => {
          await tx.query("set local lock_timeout = '20ms'");
          return await work(tx);
        }),
    },
  });
  const login = await listen((webhook) => intake.accept(webhook), impatient);
  await world.database.transaction(async (tx) => {
    await tx.query("select from listeners.users for update");
    await expect(login(userId)).rejects.toMatchObject({ code: "overloaded", retryAfterSeconds: 5 });
  });
  expect(await login(userId)).toMatchObject({ webhooks: 1 });
});

it("a request that has taken ten seconds is refused to be sent again, and its repeat does the rest", async () => {
  const users = await Promise.all(Array.from({ length: 101 }, () => userWith(1)));
  const now = performance.now.bind(performance);
  let ahead = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + ahead);
  try {
    const login = await listen(async (webhook) => {
      ahead = 11_000;
      return await intake.accept(webhook);
    });
    await expect(login(...users)).rejects.toMatchObject({ code: "overloaded", retryAfterSeconds: 5 });
    expect(await login(...users)).toMatchObject({ logins: 101, webhooks: 1, fresh: 100 });
  } finally {
    clock.mockRestore();
  }
});

it("a webhook of a login that fails at once holds its user's other logins until the rest of its webhooks are stored", async () => {
  const userId = await userWith(2);
  let stored = 0;
  let failed = false;
  const login = await listen(async (webhook) => {
    if (!failed) {
      failed = true;
      throw full();
    }
    const accepted = await intake.accept(webhook);
    await new Promise((resolve) => setTimeout(resolve, 50));
    stored += 1;
    return accepted;
  });
  await expect(login(userId)).rejects.toMatchObject({ code: "overloaded" });
  expect(stored).toBe(1);
});

it("requests beyond what a process takes at a time wait for their turn, and beyond that are refused to be sent again", async () => {
  const userId = await userWith(1);
  let store: () => void = () => undefined;
  const mayStore = new Promise<void>((resolve) => (store = resolve));
  const login = await listen(async (webhook) => {
    await mayStore;
    return await intake.accept(webhook);
  });
  const requests = Array.from({ length: 203 }, () => login(userId));
  const settled = Promise.allSettled(requests);
  const refused = await Promise.any(
    requests.map((request) =>
      request.then(
        () => Promise.reject(),
        (error: unknown) => error,
      ),
    ),
  );
  expect(refused).toMatchObject({ code: "overloaded" });
  store();
  const outcomes = (await settled).map(({ status }) => status);
  expect(outcomes.filter((status) => status === "rejected")).toHaveLength(1);
  expect(await storedFor(userId)).toHaveLength(1);
});

it("the items of users who log in are found by their users, and their logins by item and source, before Postgres knows anything of the tables", async () => {
  await userWith(2000);
  const plan = await world.database.transaction(async (tx) => {
    await tx.query("set local plan_cache_mode = force_generic_plan");
    await tx.query(`prepare items_of_users as ${ITEMS.text}`);
    const call =
      "execute items_of_users('{u-1,u-2}', array_fill(null::timestamptz, array[2]), 900, null, '', '', '', 200)";
    const { rows } = await tx.query<{ "QUERY PLAN": string }>(`explain ${call}`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  });
  expect(plan).toMatch(/items_by_user/);
  expect(plan).not.toMatch(/items_pkey|Seq Scan on items/);
  expect(plan).toMatch(/webhooks_\w+_item_id_source_id_idx/);
  expect(plan).not.toMatch(/Seq Scan on webhooks/);
});
