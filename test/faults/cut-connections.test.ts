/**
 * Connections to Postgres that are frozen, swallowed, cut and slow, with a real proxy between Tartan and Postgres: nothing
 * hangs, nothing is acknowledged that is not stored, and what can go on goes on.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { openDatabase, patient, urgent } from "../../src/database/pool.ts";
import { openSession } from "../../src/database/connection/session.ts";
import { openReadiness } from "../../src/database/readiness.ts";
import type { Database } from "../../src/database/types.ts";
import { openWebhookIntake, type WebhookIntake } from "../support/intake.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { tcpProxy, type TcpProxy } from "../support/proxy.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";

interface Proxied extends World {
  /** through the proxy; `database` is past it */
  cut: Database;
  proxy: TcpProxy;
}

async function startProxied(poolSize = 8): Promise<Proxied> {
  const world = await startWorld();
  const proxy = world.use(await tcpProxy(world.databaseUrl));
  const url = proxy.through(world.databaseUrl);
  const cut = world.use(await openDatabase({ url, poolSize, applicationName: "cut", logger }));
  world.use({ [Symbol.asyncDispose]: async () => proxy.thaw() });
  return { ...world, cut, proxy };
}

/** Every connection that the pool may have is open and idle. */
async function fill(...pools: { query: Database["query"] }[]): Promise<void> {
  await Promise.all(pools.flatMap((pool) => [1, 2, 3, 4, 5, 6].map(() => pool.query("select pg_sleep(0.2)"))));
}

const stored = async ({ database }: World): Promise<Set<string>> => {
  const { rows } = await database.query<{ id: string }>("select id from journal.webhooks");
  return new Set(rows.map(({ id }) => id));
};

type Outcome = { id: string; answer: "acknowledged" | "refused" };

/** As a sender does it: again and again, each a webhook of its own, until one is acknowledged. */
async function sendUntilAcknowledged(accept: WebhookIntake): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (;;) {
    const sent = webhook();
    const answer = await accept.accept(sent).then(
      () => "acknowledged" as const,
      (error: { code?: string; retryAfterSeconds?: number }) => {
        expect(["database_unavailable", "overloaded"]).toContain(error.code);
        expect(error.retryAfterSeconds).toBeGreaterThan(0);
        return "refused" as const;
      },
    );
    outcomes.push({ id: sent.id, answer });
    if (answer === "acknowledged") return outcomes;
    await delay(50);
  }
}

const acknowledged = (outcomes: readonly Outcome[]): string[] =>
  outcomes.filter(({ answer }) => answer === "acknowledged").map(({ id }) => id);

describe("connections that are frozen while new ones are not", () => {
  test("while old connections are frozen, webhooks are refused for a moment and then acknowledged over new connections, and each of those is stored", async () => {
    await using it = await startProxied();
    await using accept = openWebhookIntake({ database: it.cut, queueMax: 1000, logger });
    await fill(it.cut, urgent(it.cut));
    const before = await sendUntilAcknowledged(accept);
    it.proxy.freeze();
    const after = (await Promise.all([1, 2, 3].map(() => sendUntilAcknowledged(accept)))).flat();
    expect(after.some(({ answer }) => answer === "refused")).toBe(true);
    const known = await stored(it);
    for (const id of acknowledged([...before, ...after])) expect(known).toContain(id);
  });

  test("a process with frozen connections is not ready, and is ready afterwards", async () => {
    await using it = await startProxied();
    const readiness = openReadiness(it.cut);
    await fill(urgent(it.cut));
    expect(await readiness()).toBeNull();
    it.proxy.freeze();
    await delay(600);
    expect((await readiness())?.reason).toMatch(/did not answer/);
    await expect.poll(readiness, { timeout: 25_000, interval: 500 }).toBeNull();
  });

  test("a long statement on a frozen connection is given up within seconds, and one that the server works on is not", async () => {
    await using it = await startProxied();
    let slow: Promise<unknown> = Promise.resolve();
    const lost = it.cut.transaction(async (tx) => {
      await tx.query("select 1");
      it.proxy.freeze();
      slow = patient(it.cut).query("select pg_sleep(9)::text as done");
      await tx.query("select 2");
    }, "long");
    await expect(lost).rejects.toMatchObject({ code: "database_unavailable" });
    expect(await slow).toMatchObject({ rows: [{ done: "" }] });
  });

  test("frozen connections are dropped without a statement on each of them", async () => {
    await using it = await startProxied();
    await fill(it.cut);
    it.proxy.freeze();
    await expect(it.cut.query("select 1")).rejects.toMatchObject({ code: "database_unavailable" });
    // One of the pool was in use; the others were idle, and are not handed out any more.
    await Promise.all([1, 2, 3, 4].map(() => it.cut.query("select 1")));
  });

  test("closing the database ends the sockets of frozen connections", async () => {
    await using it = await startProxied();
    await fill(it.cut);
    it.proxy.freeze();
    await it.cut[Symbol.asyncDispose]();
    it.proxy.thaw();
    await expect.poll(() => it.proxy.open, { timeout: 10_000 }).toBe(0);
  });
});

describe("an answer to COMMIT that is lost", () => {
  test("a webhook whose COMMIT was not answered is not acknowledged, and is stored once when it is sent again", async () => {
    await using it = await startProxied();
    await using accept = openWebhookIntake({ database: it.cut, queueMax: 1000, logger });
    const sent = webhook();
    it.proxy.freezeAnswersTo("accepted_tokens");
    await expect(accept.accept(sent)).rejects.toMatchObject({ code: "database_unavailable" });
    await expect.poll(async () => (await stored(it)).has(sent.id)).toBe(true);
    it.proxy.thaw();
    const again = { ...sent, id: webhook().id };
    expect(await accept.accept(again)).toEqual({ id: sent.id, duplicate: true });
    expect(await stored(it)).toEqual(new Set([sent.id]));
  });

  test("a transaction whose COMMIT was not answered throws a lost connection and not a failed transaction", async () => {
    await using it = await startProxied();
    // The whole message; isolation levels have "commit" in their names.
    it.proxy.freezeAnswersTo("commit\0");
    const lost = it.cut.transaction((tx) => tx.query("create table committed ()"));
    await expect(lost).rejects.toMatchObject({ code: "database_unavailable" });
    const { rows } = await it.database.query("select to_regclass('committed') is not null as committed");
    expect(rows).toEqual([{ committed: true }]);
  });
});

describe("a Postgres that swallows everything, new connections too", () => {
  test("while Postgres accepts connections and answers nothing, webhooks are refused with Retry-After and nothing hangs", async () => {
    await using it = await startProxied();
    await using accept = openWebhookIntake({ database: it.cut, queueMax: 1000, logger });
    await fill(urgent(it.cut));
    it.proxy.freeze();
    it.proxy.blackHole();
    const refused = accept.accept(webhook());
    // The first is in a commit that does not end; those behind it are not made to wait for that.
    const behind = Array.from({ length: 3 }, async () => {
      await delay(20);
      return await accept.accept(webhook());
    });
    for (const outcome of await Promise.allSettled([refused, ...behind]))
      expect(outcome).toMatchObject({ status: "rejected", reason: { retryAfterSeconds: expect.any(Number) } });
    expect(accept.problem()).not.toBeNull();
    await expect(it.cut.query("select 1")).rejects.toMatchObject({ code: "database_unavailable" });
    it.proxy.thaw();
    await sendUntilAcknowledged(accept);
    expect(accept.problem()).toBeNull();
  });
});

test("webhooks are answered at once while connections are cut or refused, and stored again afterwards", async () => {
  await using it = await startProxied();
  await using accept = openWebhookIntake({ database: it.cut, queueMax: 1000, logger });
  await sendUntilAcknowledged(accept);
  it.proxy.refuse();
  it.proxy.cut();
  await expect(accept.accept(webhook())).rejects.toMatchObject({ code: "database_unavailable" });
  expect((await openReadiness(it.cut)())?.reason).toMatch(/Postgres stores nothing/);
  it.proxy.thaw();
  await sendUntilAcknowledged(accept);
});

test("a session whose connection is frozen can be closed", { timeout: 15_000 }, async () => {
  await using it = await startProxied();
  const session = openSession(it.cut, "a session");
  await session.query("select 1");
  it.proxy.freeze();
  await session[Symbol.asyncDispose]();
});

test("a listener whose connection is frozen listens again over another connection", async () => {
  await using it = await startProxied();
  const payloads: string[] = [];
  await using _listening = await it.cut.listen("channel", (payload) => payloads.push(payload));
  it.proxy.freeze();
  const notified = async () => {
    await it.database.query("select pg_notify('channel', 'again')");
    return payloads.length > 0;
  };
  await expect.poll(notified, { timeout: 25_000, interval: 500 }).toBe(true);
});

test("a slow network only delays webhooks and loses none", async () => {
  await using it = await startProxied();
  it.proxy.slow(200);
  await using accept = openWebhookIntake({ database: it.cut, queueMax: 1000, logger });
  const sent = Array.from({ length: 20 }, () => webhook());
  await Promise.all(sent.map((each) => accept.accept(each)));
  expect(await stored(it)).toEqual(new Set(sent.map(({ id }) => id)));
});
