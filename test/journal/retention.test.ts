import { describe, expect, test } from "vitest";
import { systemClock, type Clock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { append } from "../../src/journal/append.ts";
import { tidy } from "../../src/journal/janitor.ts";
import { retentionState, type NeedsWebhooks } from "../../src/journal/retention.ts";
import { silentLogger } from "../../src/logger.ts";
import { registry } from "../../src/metrics.ts";
import { testDatabase } from "../support/database.ts";
import { webhook } from "../support/webhook.ts";

const DAY = 24 * 60 * 60_000;
const weeksAgo = (weeks: number): Date => new Date(Date.now() - weeks * 7 * DAY);

interface Line {
  level: "warn" | "error";
  text: string;
}

/** A logger that keeps its lines. */
function keepingLogger() {
  const lines: Line[] = [];
  const keep = (level: Line["level"]) => (_: unknown, text: string) => void lines.push({ level, text });
  return { lines, logger: Object.assign(Object.create(silentLogger), { warn: keep("warn"), error: keep("error") }) };
}

async function round(database: Database, clock: Clock = systemClock): Promise<Line[]> {
  const { lines, logger } = keepingLogger();
  await tidy({ database, logger, clock, retentionDays: 30, neededBy: [] });
  return lines;
}

/** Webhooks of these ages, in weeks, each in the partition of its week, served and dispatched. */
async function journal(database: Database, ...ages: number[]): Promise<string[]> {
  await database.query("select journal.make_weeks(date_trunc('week', $1::timestamptz, 'UTC'), now())", [
    weeksAgo(Math.max(...ages) + 1),
  ]);
  const given = ages.map((weeks) => webhook({ receivedAt: weeksAgo(weeks), proof: null }));
  for (const one of given) await append(database, [one]);
  await database.query("update journal.webhooks set processed_at = now()");
  await database.query("update events.outbox set position = nextval('events.positions')");
  return given.map(({ id }) => id);
}

const kept = async (database: Database): Promise<string[]> =>
  (await database.query<{ id: string }>("select id from journal.webhooks order by id")).rows.map(({ id }) => id);

/** Somebody who needs these webhooks. */
const needing = (ids: () => readonly string[]): NeedsWebhooks => ({
  neededFor: "undelivered",
  between: async (_, first, behind) => ids().some((id) => first <= id && id < behind),
  among: async (_, among) => among.filter((id) => ids().includes(id)),
});

describe("retention never drops what is still needed", () => {
  test("a webhook that no run has served keeps its week, however old, and is reported until a run serves it", async () => {
    await using db = await testDatabase();
    const [, waiting = "", , young = ""] = await journal(db.database, 12, 9, 6, 1);
    await db.database.query("update journal.webhooks set processed_at = null where id = $1", [waiting]);
    const lines = await round(db.database);
    expect(await kept(db.database)).toEqual([waiting, young]);
    expect(lines).toEqual([{ level: "warn", text: expect.stringContaining("unprocessed") }]);
    const state = await retentionState(db.database, systemClock);
    expect(state).toMatchObject({ kept_weeks: [{ needed_for: "unprocessed" }], suspended: null });
    expect(await registry.getSingleMetricAsString("tartan_journal_weeks_kept")).toContain(
      '{needed_for="unprocessed"} 1',
    );
    // What is never forgotten is not kept beyond its time either.
    await tidy({ database: db.database, logger: silentLogger, clock: systemClock, retentionDays: 0, neededBy: [] });
    expect((await retentionState(db.database, systemClock)).kept_weeks).toEqual([]);
    expect(await registry.getSingleMetricAsString("tartan_journal_weeks_kept")).not.toMatch(/ [1-9]/);
    // What comes late for a week that was emptied still has room.
    await append(db.database, [webhook({ receivedAt: weeksAgo(6), proof: null })]);
    await db.database.query("update journal.webhooks set processed_at = now()");
    await db.database.query("update events.outbox set position = 1000 + id");
    expect(await round(db.database)).toEqual([]);
    expect(await kept(db.database)).toEqual([young]);
    expect((await retentionState(db.database, systemClock)).kept_weeks).toEqual([]);
  });

  test("while no relay dispatches, the weeks from the oldest waiting webhook on are kept and reported", async () => {
    await using db = await testDatabase();
    const [gone = "", ...stay] = await journal(db.database, 12, 9, 6);
    await db.database.query(
      "update events.outbox set position = null, written_at = journal_time.at from (select $1::timestamptz as at) journal_time where webhooks[1] = $2",
      [weeksAgo(9), stay[0]],
    );
    const lines = await round(db.database);
    expect(await kept(db.database)).toEqual(stay);
    expect(gone).not.toBe("");
    expect(lines).toEqual([{ level: "warn", text: expect.stringContaining("undispatched") }]);
    const { kept_weeks: weeks } = await retentionState(db.database, systemClock);
    expect(new Set(weeks.map(({ needed_for }) => needed_for))).toEqual(new Set(["undispatched"]));
  });

  test("a webhook older than all weeks stays until it is served and dispatched", async () => {
    await using db = await testDatabase();
    await journal(db.database, 1);
    const [unserved, undispatched] = [webhook({ receivedAt: weeksAgo(60) }), webhook({ receivedAt: weeksAgo(61) })];
    await append(db.database, [unserved]);
    await append(db.database, [undispatched]);
    await db.database.query("update events.outbox set position = 100 + id where not webhooks @> array[$1::uuid]", [
      undispatched.id,
    ]);
    await db.database.query("update journal.webhooks set processed_at = now() where id = $1", [undispatched.id]);
    await round(db.database);
    expect(await kept(db.database)).toEqual(expect.arrayContaining([unserved.id, undispatched.id]));
    await db.database.query("update events.outbox set position = 500 + id where position is null");
    await round(db.database);
    expect(await kept(db.database)).toContain(unserved.id);
    await db.database.query("update journal.webhooks set processed_at = now()");
    await db.database.query("update events.outbox set position = 1000 + id");
    await round(db.database);
    expect(await kept(db.database)).toHaveLength(1);
  });

  test("a week that others need keeps its webhooks until they need it no more", async () => {
    await using db = await testDatabase();
    const [needed = "", , young = ""] = await journal(db.database, 12, 6, 1);
    let needs = [needed];
    const neededBy = [needing(() => needs)];
    const drop = () =>
      tidy({ database: db.database, logger: silentLogger, clock: systemClock, retentionDays: 30, neededBy });
    await drop();
    expect(await kept(db.database)).toEqual([needed, young]);
    const { kept_weeks: weeks } = await retentionState(db.database, systemClock);
    expect(weeks).toMatchObject([{ needed_for: "undelivered" }]);
    needs = [];
    await drop();
    expect(await kept(db.database)).toEqual([young]);
  });

  test("others are asked again under the lock of retention before a week is dropped", async () => {
    await using db = await testDatabase();
    const [old = ""] = await journal(db.database, 6);
    const locked: boolean[] = [];
    const neededBy: NeedsWebhooks[] = [
      {
        ...needing(() => []),
        between: async (q, first, behind) => {
          const { rows } = await q.query<{ held: boolean }>(
            "select exists (select from pg_locks where pid = pg_backend_pid() and relation = 'tartan_locks.retention'::regclass) as held",
          );
          if (first <= old && old < behind) locked.push(rows[0]?.held ?? false);
          return locked.includes(true);
        },
      },
    ];
    await tidy({ database: db.database, logger: silentLogger, clock: systemClock, retentionDays: 30, neededBy });
    expect(locked).toEqual([false, true]);
    expect(await kept(db.database)).toEqual([old]);
  });

  test("of the webhooks older than all weeks those that others need stay", async () => {
    await using db = await testDatabase();
    await journal(db.database, 1);
    const given = [60, 61, 62].map((weeks) => webhook({ receivedAt: weeksAgo(weeks) }));
    await append(db.database, given);
    await db.database.query("update journal.webhooks set processed_at = now()");
    await db.database.query("update events.outbox set position = 100 + id");
    const needs = given.slice(1, 2).map(({ id }) => id);
    const neededBy = [needing(() => needs)];
    await tidy({ database: db.database, logger: silentLogger, clock: systemClock, retentionDays: 30, neededBy });
    const left = await kept(db.database);
    expect(given.map(({ id }) => left.includes(id))).toEqual([false, true, false]);
  });
});

/** How many partitions of webhooks and of tokens there are. */
const partitions = async (database: Database): Promise<number> =>
  (
    await database.query<{ n: number }>(
      "select (select count(*) from journal.weeks)::int + (select count(*) from journal.token_days)::int as n",
    )
  ).rows[0]?.n ?? 0;

describe("retention goes by the database's clock", () => {
  test("partitions are made although the clocks differ by minutes, and not where they differ by days", async () => {
    await using db = await testDatabase();
    const whole = await partitions(db.database);
    const { rows } = await db.database.query<{ tables: string }>(
      `select string_agg(partition::text, ', ') as tables from
         (select * from journal.weeks union all select * from journal.token_days) prepared where starts_at > now()`,
    );
    await db.database.query(`drop table ${rows[0]?.tables}`);
    const few = await partitions(db.database);
    expect(few).toBeLessThan(whole);
    for (const off of [3 * DAY, -3 * DAY]) {
      await round(db.database, { ...systemClock, now: () => Date.now() + off });
      expect(await partitions(db.database)).toBe(few);
    }
    await round(db.database, { ...systemClock, now: () => Date.now() + 3 * 60_000 });
    expect(await partitions(db.database)).toBe(whole);
  });

  test("retention works in an installation that is off for half of each day", async () => {
    await using db = await testDatabase();
    await journal(db.database, 12, 6, 1);
    const later = (time: string) =>
      db.database.query(
        "update journal.retention set looked_at = looked_at - $1::interval, steady_since = steady_since - $1::interval",
        [time],
      );
    await db.database.query("update journal.retention set looked_at = now(), steady_since = now()");
    for (let day = 0; day < 10; day += 1) {
      for (let hour = 0; hour < 12; hour += 1) {
        await later("1 hour");
        await db.database.query("select journal.note_round()");
      }
      await later("12 hours");
    }
    expect(await round(db.database)).toEqual([]);
    expect(await kept(db.database)).toHaveLength(1);
  });

  test("a process whose clock is minutes off, a year ahead or in 1970 deletes nothing and says what to do", async () => {
    await using db = await testDatabase();
    const ids = (await journal(db.database, 12, 6, 1)).toSorted();
    const before = await partitions(db.database);
    for (const now of [Date.now() + 3 * 60_000, Date.now() - 3 * 60_000, Date.now() + 365 * DAY, 0]) {
      const clock = { ...systemClock, now: () => now };
      const lines = await round(db.database, clock);
      expect(lines).toEqual([{ level: "error", text: expect.stringMatching(/clock .* Set both by NTP/) }]);
      expect(await kept(db.database)).toEqual(ids);
      expect(await partitions(db.database)).toBe(before);
      const state = await retentionState(db.database, clock);
      expect(state.suspended).toContain("NTP");
      expect(Math.abs(state.clock_skew_seconds)).toBeGreaterThan(120);
    }
    await round(db.database, { ...systemClock, now: () => Date.now() + 60_000 });
    expect(await kept(db.database)).toHaveLength(1);
  });

  test("nothing is deleted for a day after the database's own clock has jumped", async () => {
    await using db = await testDatabase();
    const ids = (await journal(db.database, 12, 6, 1)).toSorted();
    for (const jump of ["-400 days", "-5 days", "10 minutes", "400 days"]) {
      await db.database.query(
        "update journal.retention set looked_at = now() + $1::interval, steady_since = '-infinity'",
        [jump],
      );
      expect(await round(db.database)).toEqual([{ level: "error", text: expect.stringContaining("has jumped") }]);
      expect(await round(db.database)).toEqual([{ level: "error", text: expect.stringContaining("has jumped") }]);
      expect(await kept(db.database)).toEqual(ids);
    }
    await db.database.query("update journal.retention set steady_since = now() - interval '25 hours'");
    expect(await round(db.database)).toEqual([]);
    expect(await kept(db.database)).toHaveLength(1);
  });

  test("partitions are not made for a time that is years away from the existing webhooks", async () => {
    await using db = await testDatabase();
    for (const at of ["1970-01-01", "2100-01-01"])
      await expect(db.database.query("select journal.ensure_partitions($1)", [at])).rejects.toThrow("years away");
  });
});
