import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { append } from "../../src/journal/append.ts";
import { pruneBodies } from "../../src/journal/bodies.ts";
import { tidy } from "../../src/journal/janitor.ts";
import { getWebhook, listWebhooks } from "../../src/journal/records.ts";
import { prunedBodies, type NeedsWebhooks } from "../../src/journal/retention.ts";
import { newestField } from "../../src/journal/served.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { toWebhookId } from "../../src/model/ids.ts";
import { RESOURCES } from "../../src/resources/index.ts";
import type { NewWebhook } from "../../src/model/webhook.ts";
import { testDatabase } from "../support/database.ts";
import { webhookBody } from "../support/plaid-signer.ts";
import { INTEGRATION, webhook } from "../support/webhook.ts";
import { changing, leftovers } from "./rewriting.ts";

const DAY = 24 * 60 * 60_000;
const daysAgo = (days: number): Date => new Date(Date.now() - days * DAY);

let db: Awaited<ReturnType<typeof testDatabase>>;
let database: Database;
beforeAll(async () => {
  db = await testDatabase();
  ({ database } = db);
  await database.query("select journal.make_weeks(date_trunc('week', $1::timestamptz, 'UTC'), now())", [daysAgo(120)]);
});
afterAll(() => db[Symbol.asyncDispose]());

/** Webhooks that are processed and dispatched, unless a test says otherwise afterwards. */
async function journal(...given: Partial<NewWebhook>[]): Promise<NewWebhook[]> {
  const webhooks = given.map((fields) => webhook(fields));
  await append(database, webhooks);
  await database.query(
    'update journal.webhooks set processed_at = now(), update_info = \'{"outcome": "synced"}\' where id = any ($1)',
    [webhooks.map(({ id }) => id)],
  );
  await dispatch();
  await seenTo("00000000-0000-0000-0000-000000000000");
  return webhooks;
}
/** Real webhooks come in the order of time, and those of the tests do not. */
const seenTo = (id: string) => database.query("update journal.retention set bodies_seen_to = $1", [id]);
const dispatch = () =>
  database.query("update events.outbox set position = nextval('events.positions') where position is null");

const round = (neededBy: readonly NeedsWebhooks[] = [], bodyRetentionDays: number | undefined = 30) =>
  tidy({ database, logger, clock: systemClock, retentionDays: 0, bodyRetentionDays, neededBy });

/** Which of them still have their bodies. */
async function withBody(webhooks: readonly NewWebhook[]): Promise<boolean[]> {
  const { rows } = await database.query<{ id: string; has: boolean }>(
    "select id, body is not null as has from journal.webhooks where id = any ($1)",
    [webhooks.map(({ id }) => id)],
  );
  return webhooks.map(({ id }) => rows.find((row) => row.id === id)?.has ?? false);
}

const needing = (ids: () => readonly string[]): NeedsWebhooks => ({
  neededFor: "undelivered",
  between: async () => true,
  among: async (_, among) => among.filter((id) => ids().includes(id)),
});

describe("pruning the bodies of old webhooks", () => {
  test("bodies and JWTs of old webhooks go, and their fields, their SHA-256 and what came of them stay", async () => {
    const [old, young] = await journal(
      { receivedAt: daysAgo(31), itemId: "pruned" },
      { receivedAt: daysAgo(29), itemId: "pruned" },
    );
    if (!old || !young) throw new Error("nothing was journaled");
    const before = await getWebhook(database, toWebhookId(old.id));
    await round();
    expect(await withBody([old, young])).toEqual([false, true]);
    const sha256 = createHash("sha256").update(old.body).digest("hex");
    const after = await getWebhook(database, toWebhookId(old.id));
    expect(after).toEqual({ ...before, webhook: {}, body_pruned: true });
    expect(after).toMatchObject({ body_sha256: sha256, verification: { body_sha256: sha256, key_id: "kid-1" } });
    expect(after?.update_info).toEqual({ outcome: "synced" });
    const { rows } = await database.query("select * from journal.webhooks where id = $1", [old.id]);
    expect(rows).toMatchObject([{ body: null, verification: null, body_bytes: old.body.length }]);
    const page = await listWebhooks(database, { item_id: "pruned", type: "TRANSACTIONS" });
    expect(page.data.map(({ body_pruned }) => body_pruned)).toEqual([false, true]);
    expect(await prunedBodies(database)).toMatchObject({
      webhooks: 1,
      bytes: old.body.length + "header.claims.signature".length,
    });
  });

  test("without a number of days no body is ever pruned", async () => {
    const old = await journal({ receivedAt: daysAgo(100) });
    await tidy({ database, logger, clock: systemClock, retentionDays: 0, neededBy: [] });
    expect(await withBody(old)).toEqual([true]);
  });

  test("a body that a run, dispatch or a delivery still needs stays, and goes in the round after that", async () => {
    const webhooks = await journal(...[40, 39, 38, 37].map((age) => ({ receivedAt: daysAgo(age) })));
    const [unserved = "", needed = ""] = webhooks.map(({ id }) => id);
    await database.query("update journal.webhooks set processed_at = null where id = $1", [unserved]);
    let needs = [needed];
    const neededBy = [needing(() => needs)];
    await round(neededBy);
    await round(neededBy);
    expect(await withBody(webhooks)).toEqual([true, true, false, false]);
    needs = [];
    await round(neededBy);
    expect(await withBody(webhooks)).toEqual([true, false, false, false]);
    await database.query("update journal.webhooks set processed_at = now() where id = $1", [unserved]);
    await round(neededBy);
    expect(await withBody(webhooks)).toEqual([false, false, false, false]);
    const { rows } = await database.query("select from journal.kept_bodies");
    expect(rows).toEqual([]);

    const late = await journal({ receivedAt: daysAgo(36) }, { receivedAt: daysAgo(35) });
    await database.query("update events.outbox set position = null where $1 = any (webhooks)", [late[0]?.id]);
    await round();
    expect(await withBody(late)).toEqual([true, true]);
    await dispatch();
    await round();
    expect(await withBody(late)).toEqual([false, false]);
  });

  test("webhooks about what is no item, such as a Link session with its tokens, lose their bodies like others, the newest too", async () => {
    const about = (kind: string, age: number) => ({
      subject: { kind, id: "one" },
      itemId: null,
      receivedAt: daysAgo(age),
      body: webhookBody({ link_token: "link-sandbox-1" }),
    });
    const webhooks = await journal(about("link_session", 34), about("link_session", 33), about("payment", 32.8));
    const token = () =>
      newestField(database, { integrationId: INTEGRATION, kind: "link_session", id: "one" }, "link_token");
    expect(await token()).toBe("link-sandbox-1");
    await round();
    expect(await withBody(webhooks)).toEqual([false, false, false]);
    expect((await database.query("select from journal.kept_bodies")).rows).toEqual([]);
    expect(await token()).toBeNull();
  });

  test("what has its token in its webhooks is never read again by itself, since their bodies are pruned", () => {
    const kinds = RESOURCES.map(({ subject }) => subject).filter(
      ({ access }) => access.by === "token" && access.inWebhook,
    );
    expect(kinds.map(({ kind, reconciledDays }) => [kind, reconciledDays])).toContainEqual(["link_session", undefined]);
    expect(kinds.filter(({ reconciledDays }) => reconciledDays !== undefined)).toEqual([]);
  });

  test("what a gap was keeps its body, and other webhooks of Tartan lose theirs", async () => {
    const own = { source: "RECONCILER" as const, webhookType: "ITEM", proof: null, receivedAt: daysAgo(32.5) };
    const webhooks = await journal(
      { ...own, webhookCode: "GAP_FOUND" },
      { ...own, webhookCode: "ERROR" },
      { ...own, webhookCode: null },
    );
    await round();
    expect(await withBody(webhooks)).toEqual([true, false, false]);
  });

  test("a round looks only at what became old since the round before", async () => {
    const [seen] = await journal({ receivedAt: daysAgo(32.4) });
    await round();
    await database.query("update journal.webhooks set body = 'again' where id = $1", [seen?.id]);
    const fresh = await journal({ receivedAt: daysAgo(32.3) });
    await seenTo(seen?.id ?? "");
    await round();
    expect(await withBody([...(seen ? [seen] : []), ...fresh])).toEqual([true, false]);
  });

  test("more webhooks and bytes than one batch takes are pruned in one round", async () => {
    await database.query(
      `insert into journal.webhooks (id, integration_id, source, received_at, body, processed_at)
      select tartan.new_id(at, n), 'svi_test', 'BACKEND', at, convert_to(repeat('x', case when n % 1000 = 0 then 12000000 else 300 end), 'UTF8'), now()
      from generate_series(1, 6000) n cross join lateral (select now() - interval '32 days' + n * interval '1 ms' as at) t`,
    );
    await seenTo("00000000-0000-0000-0000-000000000000");
    await round();
    const { rows } = await database.query<{ left: number }>(
      "select count(*)::int as left from journal.webhooks where body is not null and received_at between now() - interval '32.1 days' and now() - interval '31.9 days'",
    );
    expect(rows).toEqual([{ left: 0 }]);
  });
});

describe("the space of pruned bodies", () => {
  const AGE = 60;
  const weekOf = async (age: number) => {
    const { rows } = await database.query<{ partition: string; bytes: number }>(
      `select partition::text, pg_total_relation_size(partition)::int as bytes from journal.weeks
      where starts_at = date_trunc('week', $1::timestamptz, 'UTC')`,
      [daysAgo(age)],
    );
    const [week] = rows;
    if (!week) throw new Error("the week has no partition");
    return week;
  };

  /** Webhooks that are large enough for their week to be rewritten. */
  const fill = async (age: number) => {
    await database.query(
      `insert into journal.webhooks (id, integration_id, source, received_at, body, processed_at)
      select tartan.new_id($1::timestamptz, n), 'svi_test', 'PLAID', $1, convert_to(repeat(md5(n::text), 30), 'UTF8'), now()
      from generate_series(1, 500) n`,
      [daysAgo(age)],
    );
    await seenTo("00000000-0000-0000-0000-000000000000");
  };
  test("a week that a long query of somebody reads is not rewritten for hours, and does not stop the week behind it", async () => {
    const ages = [AGE + 14, AGE + 7];
    for (const age of ages) await fill(age);
    const partitions = await Promise.all(ages.map(async (age) => (await weekOf(age)).partition));
    const rewritten = async () => {
      const { rows } = await database.query<{ partition: string }>(
        `select w.partition::text from journal.pruned_weeks p join journal.weeks w
          on w.starts_at = p.week::timestamp at time zone 'UTC' where p.rewritten_at is not null order by 1`,
      );
      return partitions.map((partition) => rows.some((row) => row.partition === partition));
    };
    await database.transaction(async (tx) => {
      await tx.query(`select from ${partitions[0]} limit 1`);
      await round();
    });
    expect(await rewritten()).toEqual([false, true]);
    await round();
    expect(await rewritten(), "soon after").toEqual([false, true]);
    await database.query("update journal.pruned_weeks set tried_at = tried_at - interval '7 hours'");
    await round();
    expect(await rewritten()).toEqual([true, true]);
  });

  test("nobody waits while a week is copied, and what changes in it meanwhile is in the copy", async () => {
    const age = AGE + 21;
    const old = await journal(...["changed", "erased", "same"].map((itemId) => ({ receivedAt: daysAgo(age), itemId })));
    const [changed = "", erased = "", same = ""] = old.map(({ id }) => id);
    await fill(age);
    await database.query("update journal.webhooks set user_id = null where id = $1", [changed]);
    let late = "";
    const change = async () => {
      // As linking an item does: such a statement locks every week.
      await database.query(
        "update journal.webhooks set user_id = 'later' where item_id = 'changed' and user_id is null",
      );
      await database.query("delete from journal.webhooks where item_id = 'erased'");
      late = (await journal({ receivedAt: daysAgo(age), itemId: "late" }))[0]?.id ?? "";
    };
    const { partition, bytes } = await weekOf(age);
    await pruneBodies({ database: changing(database, change), days: 30, neededBy: [] });
    const { rows } = await database.query<{ id: string; user_id: string | null; home: string }>(
      "select id, user_id, tableoid::regclass::text as home from journal.webhooks where id = any ($1) order by id",
      [[changed, erased, same, late]],
    );
    const home = partition;
    expect(rows).toHaveLength(3);
    expect(rows).toEqual(
      expect.arrayContaining([
        { id: changed, user_id: "later", home },
        { id: same, user_id: null, home },
        { id: late, user_id: null, home },
      ]),
    );
    expect(late).not.toBe("");
    expect((await weekOf(age)).bytes).toBeLessThanOrEqual(bytes);
    expect(await leftovers(database)).toEqual([]);
  });

  test("what a process leaves that dies while it rewrites a week goes with the next attempt, and a week that retention empties meanwhile stays empty", async () => {
    const { database: q } = db;
    const [died, emptied] = [AGE + 28, AGE + 35];
    for (const age of [died, emptied]) await fill(age);
    const weekIds = (age: number) =>
      q.query("select from journal.webhooks where received_at = $1", [daysAgo(age)]).then(({ rowCount }) => rowCount);
    const monday = (age: number) => `date_trunc('week', '${daysAgo(age).toISOString()}'::timestamptz, 'UTC')::date`;
    const empty = async () => await q.query(`truncate ${(await weekOf(emptied)).partition}`);
    await expect(pruneBodies({ database: changing(database, empty, true), days: 30, neededBy: [] })).rejects.toThrow(
      /was emptied/,
    );
    expect(await weekIds(emptied)).toBe(0);
    await q.query(`select journal.begin_rewrite(${monday(died)})`);
    await q.query(`select journal.copy_week(${monday(died)})`);
    await q.query("update journal.pruned_weeks set tried_at = tried_at - interval '7 hours', unused = bytes");
    await round();
    const { rows } = await q.query(`select unused from journal.pruned_weeks where week = ${monday(died)}`);
    expect(rows, "it is rewritten").toEqual([{ unused: 0 }]);
    expect(await leftovers(database)).toEqual([]);
  });

  test("a week whose bodies were pruned is rewritten, gives its space back, and is read, written and dropped like any other", async () => {
    await database.query(
      `insert into journal.webhooks (id, integration_id, source, item_id, subject_kind, subject_id, webhook_type, received_at, body, processed_at)
      select tartan.new_id($1::timestamptz, n), 'svi_test', 'PLAID', 'item-' || n % 50, 'item', 'item-' || n % 50, 'ITEM', $1,
        convert_to(repeat(md5(n::text), 30), 'UTF8'), now() from generate_series(1, 3000) n`,
      [daysAgo(AGE)],
    );
    const before = await weekOf(AGE);
    await seenTo("00000000-0000-0000-0000-000000000000");
    await round();
    const after = await weekOf(AGE);
    expect(after.partition).toBe(before.partition);
    expect(after.bytes).toBeLessThan(before.bytes / 2);
    const { given_back_bytes } = await prunedBodies(database);
    expect(given_back_bytes).toBeGreaterThanOrEqual(before.bytes - after.bytes);

    expect((await listWebhooks(database, { item_id: "item-7", limit: 500 })).data).toHaveLength(60);
    const [late] = await journal({ receivedAt: daysAgo(AGE), itemId: "item-7" });
    expect(await getWebhook(database, toWebhookId(late?.id ?? ""))).toMatchObject({ body_pruned: false });
    const { rows } = await database.query<{ home: string; valid: number; parts: number }>(
      `select w.tableoid::regclass::text as home,
        (select count(*)::int from pg_index i where i.indrelid = w.tableoid and i.indisvalid) as valid,
        (select count(*)::int from pg_index i where i.indrelid = 'journal.webhooks'::regclass) as parts
      from journal.webhooks w where id = $1`,
      [late?.id],
    );
    expect(rows).toMatchObject([{ home: before.partition, valid: rows[0]?.parts }]);
    await round();
    expect((await weekOf(AGE)).bytes).toBeLessThanOrEqual(after.bytes + 100_000);

    await tidy({ database, logger, clock: systemClock, retentionDays: 50, bodyRetentionDays: 30, neededBy: [] });
    expect((await listWebhooks(database, { item_id: "item-7", limit: 500 })).data).toEqual([]);
    const weeks = await database.query("select week from journal.pruned_weeks where week < now() - interval '60 days'");
    expect(weeks.rows).toEqual([]);
  });
});
