/** Requests with an Idempotency-Key start their job once, however often and however close together they are sent. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append } from "../../../src/journal/append.ts";
import { forget } from "../../../src/relay/retention.ts";
import { deliveries, dispatchAll, settle } from "../../relay/past.ts";
import { webhook } from "../../support/webhook.ts";
import { until } from "../../support/until.ts";
import { startWorld, type Answer, type World } from "../../support/world/index.ts";

let world: World<"api">;
let destination_id: string;
let route_id: string;
beforeAll(async () => {
  world = await startWorld({ api: {} });
  ({
    body: { id: destination_id },
  } = await world.api.call("POST /v1/destinations", { body: { url: "http://127.0.0.1:9/" } }));
  ({
    body: { id: route_id },
  } = await world.api.call("POST /v1/routes", { body: { destination_id } }));
  await append(world.database, [webhook({})]);
  await dispatchAll(world.database);
  await settle(world.database, "dead", { cause: "timeout" });
});
afterAll(() => world[Symbol.asyncDispose]());

const jobs = async (): Promise<number> => (await world.database.query("select from relay.jobs")).rowCount;
const send = (request: string, key: string, body: object): Promise<Answer> =>
  world.api.call(request, { body, headers: { "idempotency-key": key } });

describe("an Idempotency-Key", () => {
  it("an Idempotency-Key gives the first answer again on everything that starts a job", async () => {
    const [delivery] = await deliveries(world.database);
    const requests: [request: string, body: object][] = [
      ["POST /v1/dead-letters/redrive", { destination_id }],
      ["POST /v1/replays", { destination_id, from: "2020-01-01T00:00:00Z" }],
      [`POST /v1/routes/${route_id}/route-past`, { from: "2020-01-01T00:00:00Z" }],
      [`POST /v1/deliveries/dlv_${delivery?.id.replaceAll("-", "")}/replay`, { reason: "again" }],
    ];
    for (const [index, [request, body]] of requests.entries()) {
      const first = await send(request, `key-${index}`, body);
      expect([request, first.status, first.text]).toEqual([request, 202, first.text]);
      expect(first.headers.get("idempotent-replayed")).toBeNull();
      const before = await jobs();
      const again = await send(request, `key-${index}`, body);
      expect([again.status, again.body]).toEqual([202, first.body]);
      expect(again.headers.get("idempotent-replayed")).toBe("true");
      expect(await jobs()).toBe(before);
    }
  });

  it("an Idempotency-Key starts one job when its requests come at the same time", async () => {
    const before = await jobs();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => send("POST /v1/dead-letters/redrive", "at-once", { destination_id })),
    );
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === null)).toHaveLength(1);
    expect(await jobs()).toBe(before + 1);
  });

  it("a request with an Idempotency-Key does not delay requests with another key", async () => {
    let first: Promise<Answer> | undefined;
    let isFirstOver = false;
    await world.database.transaction(async (tx) => {
      // A job holds its destination, so the request that asks for one waits.
      await tx.query("select from relay.destinations where id = $1 for update", [destination_id]);
      first = send("POST /v1/dead-letters/redrive", "slow", { destination_id });
      void first.then(() => (isFirstOver = true));
      await until("it waits", async () => {
        const { rowCount } = await world.database.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return rowCount > 0;
      });
      const other = await send("POST /v1/replays", "quick", {
        destination_id: "dst_none",
        from: "2020-01-01T00:00:00Z",
      });
      expect([other.status, isFirstOver]).toEqual([404, false]);
    });
    expect((await first)?.status).toBe(202);
  });

  it("a request with an Idempotency-Key is refused when too many wait", async () => {
    let answers: Promise<Answer>[] = [];
    await world.database.transaction(async (tx) => {
      await tx.query("select from relay.destinations where id = $1 for update", [destination_id]);
      answers = Array.from({ length: 60 }, (_, n) =>
        send("POST /v1/dead-letters/redrive", `many-${n % 4}`, { destination_id }),
      );
      let refused = 0;
      for (const answer of answers)
        void answer.then(({ body }) => (refused += Number(body.error?.code === "overloaded")));
      await until("what is too much is refused", async () => refused === 10);
    });
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 503)).toHaveLength(10);
    expect(statuses.filter((status) => status === 202)).toHaveLength(50);
  });

  it("an Idempotency-Key is refused with another body or at another path, and starts nothing there", async () => {
    await send("POST /v1/dead-letters/redrive", "other", { destination_id });
    const before = await jobs();
    const others: [request: string, body: object][] = [
      ["POST /v1/dead-letters/redrive", { destination_id, cause: "timeout" }],
      ["POST /v1/replays", { destination_id, from: "2020-01-01T00:00:00Z" }],
    ];
    for (const [request, body] of others) {
      const { status, body: refusal } = await send(request, "other", body);
      expect([status, refusal.error.code]).toEqual([422, "idempotency_key_reused"]);
    }
    expect(await jobs()).toBe(before);
  });

  it("an Idempotency-Key can be used again when its request failed or only counted", async () => {
    const missing = await send("POST /v1/dead-letters/redrive", "failed", { destination_id: "dst_nothing" });
    expect(missing.status).toBe(404);
    const counted = await send("POST /v1/dead-letters/redrive", "failed", { destination_id, dry_run: true });
    expect(counted.status).toBe(200);
    expect((await send("POST /v1/dead-letters/redrive", "failed", { destination_id })).status).toBe(202);
  });

  it("an Idempotency-Key is kept for 24 hours", async () => {
    const first = await send("POST /v1/dead-letters/redrive", "a-day", { destination_id });
    const age = (hours: number) =>
      world.database.query("update relay.requests set created_at = now() - $1 * interval '1 hour'", [hours]);
    await age(23);
    await forget({ database: world.database, retentionDays: 90 });
    expect((await send("POST /v1/dead-letters/redrive", "a-day", { destination_id })).body.id).toBe(first.body.id);
    await age(25);
    const second = await send("POST /v1/dead-letters/redrive", "a-day", { destination_id });
    expect(second.body.id).not.toBe(first.body.id);
    await age(25);
    await forget({ database: world.database, retentionDays: 90 });
    expect((await world.database.query("select from relay.requests")).rowCount).toBe(0);
  });

  it("an Idempotency-Key must be visible ASCII of at most 255 characters, and neither it nor its request is stored in the clear", async () => {
    expect((await send("POST /v1/dead-letters/redrive", "with space", {})).body.error.fields).toHaveProperty(
      "idempotency-key",
    );
    await send("POST /v1/dead-letters/redrive", "a-key-in-clear", { reason: "a-reason-in-clear", destination_id });
    const { rows } = await world.database.query<{ all: string }>(
      "select string_agg(encode(key_sha256, 'escape') || encode(request_sha256, 'escape'), '') as all from relay.requests",
    );
    expect(rows[0]?.all).not.toMatch(/in-clear/);
  });
});
