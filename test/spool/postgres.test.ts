/** The spool over a real Postgres that is frozen, stopped or killed beside it: each acknowledged webhook is in the journal exactly once. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openDatabase } from "../../src/database/pool.ts";
import type { Database } from "../../src/database/types.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import type { ArrivedWebhook } from "../../src/model/intake.ts";
import { maintain } from "../support/database.ts";
import { tcpProxy } from "../support/proxy.ts";
import { until } from "../support/until.ts";
import { INTEGRATION } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { arrived, MemoryIntake, open, spoolRoot, type Root } from "./support.ts";

const CHILD = fileURLToPath(new URL("spool-child.ts", import.meta.url));

async function worldWithIntegration(): Promise<World> {
  const world = await startWorld();
  await world.database.query(
    `insert into tartan.integrations (id, service, name, environment, plaid_url, client_id)
     values ($1, 'plaid_item_v1', 'test', 'sandbox', 'http://127.0.0.1:1', 'client')`,
    [INTEGRATION],
  );
  return world;
}

/** The ids in the journal, in the order in which they were stored; read in one statement, since a process may be writing. */
async function journaled({ database }: Pick<World, "database">): Promise<string[]> {
  const { rows } = await database.query<{ id: string; journaled: number }>(
    `select w.id, (select count(*)::int from journal.webhooks) as journaled
     from events.outbox o, unnest(o.webhooks) with ordinality w (id, n) order by o.id, n`,
  );
  expect(rows).toHaveLength(rows[0]?.journaled ?? 0);
  return rows.map(({ id }) => id);
}

async function storedSoFar({ database }: Pick<World, "database">): Promise<Set<string>> {
  const { rows } = await database.query<{ id: string }>("select id from journal.webhooks");
  return new Set(rows.map(({ id }) => id));
}

const over = (world: World, database: Database = world.database) =>
  openIntake({ database, vault: world.vault, queueMax: 1000, logger });

/** Another transaction that stores the same JWTs, and rolls back in the end. */
async function holdTokens({ database }: World, webhooks: readonly ArrivedWebhook[]) {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  let ended: Promise<unknown> = Promise.resolve();
  await new Promise<void>((held) => {
    ended = database
      .transaction(async (tx) => {
        for (const { proof } of webhooks)
          await tx.query(
            "insert into journal.accepted_tokens (token_sha256, signed_at, webhook_id) values ($1, $2, gen_random_uuid())",
            [proof?.tokenSha256, proof?.signedAt],
          );
        held();
        await gate;
        throw new Error("rolled back");
      })
      .catch(() => undefined);
  });
  return {
    end: async () => {
      release();
      await ended;
    },
  };
}

async function runChild(
  root: Root,
  env: Record<string, string>,
  killWhen: (lines: string[]) => boolean | Promise<boolean>,
) {
  const child = spawn(process.execPath, ["--import", "tsx", CHILD], {
    env: { ...process.env, SPOOL_ROOT: root.path, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const gone = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (await killWhen(lines)) child.kill("SIGKILL");
  }
  await gone;
  return lines.filter((line) => line !== "open");
}

describe("the spool over Postgres", () => {
  test("webhooks that were acknowledged into the spool before kill -9 are in the journal exactly once", async () => {
    await using world = await worldWithIntegration();
    await using root = await spoolRoot();
    const acknowledged: string[] = [];
    for (let round = 0; round < 2; round += 1)
      acknowledged.push(...(await runChild(root, {}, (lines) => lines.length >= 400)));
    await using inner = over(world);
    await using opened = await open(root, inner);
    await until("it is drained", () => opened.spool.status().state === "straight");
    const stored = await journaled(world);
    expect(acknowledged.length).toBeGreaterThanOrEqual(798);
    expect(new Set(stored).size).toBe(stored.length);
    expect(acknowledged.filter((id) => !stored.includes(id))).toEqual([]);
    expect(opened.spool.status().damaged).toBe(0);
  });

  test("of processes with one data directory, those that run drain what a killed one has left, within their look, each webhook once", async () => {
    await using world = await worldWithIntegration();
    await using root = await spoolRoot();
    await using inner = over(world);
    await using one = await open(root, inner, { leftOverEveryMs: 200 });
    await using other = await open(root, inner, { leftOverEveryMs: 200 });
    const acknowledged = await runChild(root, {}, (lines) => {
      // While it lives nobody touches its folder.
      expect([one, other].map(({ spool }) => spool.status().waiting)).toEqual([0, 0]);
      return lines.length >= 1500;
    });
    expect(acknowledged.length).toBeGreaterThanOrEqual(1499);
    await until("all are stored", async () => {
      const stored = await storedSoFar(world);
      return acknowledged.every((id) => stored.has(id));
    });
    const stored = await journaled(world);
    expect(new Set(stored).size).toBe(stored.length);
    await until("nothing waits", () => [one, other].every(({ spool }) => spool.status().state === "straight"));
    expect(await root.files()).toEqual([]);
  });

  test("a JWT that another transaction keeps locked holds no other webhook of the spool up, and its own is stored when that ends", async () => {
    await using world = await worldWithIntegration();
    await using root = await spoolRoot();
    const given = Array.from({ length: 700 }, (_, index) => arrived({ itemId: `item-${index % 7}` }));
    {
      const away = Object.assign(new MemoryIntake(), { mode: "away" as const });
      await using opened = await open(root, away);
      await Promise.all(given.map((each) => opened.spool.accept(each)));
    }
    const locked = [given[100], given[101], given[600]].flatMap((each) => each ?? []);
    const others = given.filter((each) => !locked.includes(each));
    await using inner = over(world);
    const lock = await holdTokens(world, locked);
    await using opened = await open(root, inner);
    await until("the others are stored", async () => (await storedSoFar(world)).size >= others.length);
    expect(await journaled(world)).toEqual(others.map(({ id }) => id));
    // What comes meanwhile is acknowledged, and stored too.
    const later = arrived();
    const began = performance.now();
    await opened.spool.accept(later);
    expect(performance.now() - began).toBeLessThan(5_000);
    await until("what came meanwhile is stored", async () => (await storedSoFar(world)).has(later.id));
    expect(opened.spool.status()).toMatchObject({ state: "draining", waiting: locked.length });
    await lock.end();
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect((await journaled(world)).toSorted()).toEqual([...given, later].map(({ id }) => id).toSorted());
  });

  test("an append that thaws after its webhook was drained is answered with that webhook, and stores nothing twice", async () => {
    await using world = await worldWithIntegration();
    await using inner = over(world);
    const given = arrived({ proof: null });
    expect(await inner.restore([given])).toEqual([{ outcome: "stored", id: given.id }]);
    expect(await inner.accept(given)).toEqual({ id: given.id, duplicate: false });
    expect(await journaled(world)).toEqual([given.id]);
  });

  test("a process that is killed while it drains has stored nothing twice, and the next one stores the rest in order", async () => {
    await using world = await worldWithIntegration();
    await using root = await spoolRoot();
    const given = Array.from({ length: 6000 }, (_, index) =>
      arrived({ itemId: `item-${index % 7}`, ...(index % 3 === 0 && { proof: null }) }),
    );
    {
      const away = Object.assign(new MemoryIntake(), { mode: "away" as const });
      await using opened = await open(root, away);
      await Promise.all(given.map((each) => opened.spool.accept(each)));
    }
    const env = { SPOOL_DATABASE_URL: world.databaseUrl, SPOOL_VAULT: world.masterKey, SPOOL_DRAIN: "1" };
    await runChild(root, env, async () => {
      await until("some are stored", async () => (await journaled(world)).length > 500);
      return true;
    });
    await using inner = over(world);
    await using opened = await open(root, inner);
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect(await journaled(world)).toEqual(given.map(({ id }) => id));
  });

  test("through a Postgres that is frozen, back, away and back again, each webhook is stored once and in order of its item", async () => {
    await using world = await worldWithIntegration();
    await using root = await spoolRoot();
    await using proxy = await tcpProxy(world.databaseUrl);
    const database = await openDatabase({
      url: proxy.through(world.databaseUrl),
      poolSize: 6,
      applicationName: "behind the proxy",
      logger,
    });
    await using inner = over(world, database);
    await using opened = await open(root, inner);
    const acknowledged: string[] = [];
    const stop = new AbortController();
    let sent = 0;
    // Each item sends its next webhook when the one before is acknowledged.
    const item = async (itemId: string): Promise<void> => {
      while (!stop.signal.aborted) {
        const given = arrived({ itemId, ...(sent++ % 2 === 0 && { proof: null }) });
        await opened.spool.accept(given).then(({ id }) => acknowledged.push(id));
        await delay(2);
      }
    };
    const items = Array.from({ length: 10 }, (_, index) => item(`item-${index}`));
    const isStraight = (): boolean => opened.spool.status().state === "straight";
    const outage = async (begin: () => unknown, end: () => unknown): Promise<void> => {
      await delay(300);
      await begin();
      await until("webhooks wait", () => opened.spool.status().waiting > 200);
      await end();
      await until("it is drained", isStraight, 90);
    };
    // Only old connections are frozen. What they carry is committed when they thaw, after the drain has stored it.
    await delay(300);
    proxy.freeze("requests");
    await until("the spool takes over", () => !isStraight());
    await until("it is drained", isStraight, 90);
    proxy.thaw();
    await outage(
      () => (proxy.blackHole(), proxy.freeze()),
      () => proxy.thaw(),
    );
    await outage(
      () => (proxy.refuse(), proxy.cut()),
      () => proxy.thaw(),
    );
    const name = new URL(world.databaseUrl).pathname.slice(1);
    const endSessions = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`;
    await outage(
      () => maintain(`alter database ${name} allow_connections false`, endSessions),
      () => maintain(`alter database ${name} allow_connections true`),
    );
    await delay(300);
    stop.abort();
    await Promise.all(items);
    const stored = await journaled(world);
    expect(stored.toSorted()).toEqual(acknowledged.toSorted());
    const { rows } = await world.database.query<{ id: string; item: string }>(
      "select id, item_id as item from journal.webhooks",
    );
    const itemOf = new Map(rows.map(({ id, item: of }) => [id, of]));
    for (let index = 0; index < items.length; index += 1) {
      const ofItem = (ids: readonly string[]) => ids.filter((id) => itemOf.get(id) === `item-${index}`);
      expect(ofItem(stored)).toEqual(ofItem(acknowledged));
    }
    await database[Symbol.asyncDispose]();
  }, 180_000);
});
