/** Due subjects are found beside any number of waiting ones. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Statement } from "../../src/database/types.ts";
import { CLAIM, WAKE } from "../../src/sync/claim-queries.ts";
import { dueDepth } from "../../src/sync/depth.ts";
import { claim, wake } from "../../src/sync/queue.ts";
import { LIST_SUBJECTS } from "../../src/sync/subject-queries.ts";
import * as pages from "../support/pages.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

let world: World<"sync">;
beforeEach(async () => {
  world = await startWorld({ sync: {} });
});
afterEach(() => world[Symbol.asyncDispose]());

/** Subjects of integrations `a00001` and so on, which sort before every real one; due in `seconds`. */
const crowd = (integrations: number, each: number, seconds = 3600, first = "a") =>
  world.database.query(
    `insert into sync.subjects (integration_id, kind, id, due_at)
    select $4 || lpad(i::text, 5, '0'), 'item', 'crowd_' || n, now() + $3 * interval '1 second' from generate_series(1, $1::int) i, generate_series(1, $2::int) n`,
    [integrations, each, seconds, first],
  );
/** A subject that became due by time while no worker ran. */
const overdue = async (integration: string, id: string) => {
  await world.database.query(
    "insert into sync.subjects (integration_id, kind, id, due_at) values ($1, 'item', $2, now() - interval '1 second')",
    [integration, id],
  );
  await world.database.query("update sync.subjects set ready = false where id = $1", [id]);
};
const readyIds = async () =>
  (await world.database.query<{ id: string }>("select id from sync.subjects where ready")).rows.map(({ id }) => id);

const pagesOf = (statement: Statement, values: readonly unknown[]): Promise<number> =>
  pages.pagesOf(world.database, statement, values);

describe("a due subject", () => {
  it("a due subject is synced at once behind a hundred integrations that have only future work", async () => {
    await crowd(100, 2);
    const [item] = world.integration.makeItems(1, 5);
    if (!item) throw new Error("no item");
    await world.integration.link(item);
    await world.sync.start();
    await until("the first sync", async () => (await world.sync.subject(item.item_id)).status === "ok");
  });

  it("a due subject is found behind more integrations with ready work than one claim reads, and each is served in its turn", async () => {
    await crowd(150, 3, -60);
    const served = new Set<string>();
    for (let after = "", turns = 0; turns < 150; turns += 1) {
      const [claimed] = await claim(world.database, after, 1, 60);
      after = claimed?.integrationId ?? "";
      served.add(after);
    }
    expect(served.size).toBe(150);
  });

  it("a due subject costs a claim as many pages beside 40,000 subjects of 4,000 integrations that wait as beside none", async () => {
    await crowd(20, 1, -60, "d");
    await world.database.query("vacuum analyze sync.subjects");
    const alone = await pagesOf(CLAIM, ["", 8, 60]);
    await crowd(4000, 10);
    await crowd(4000, 10, 7200, "z");
    await world.database.query("vacuum analyze sync.subjects");
    expect(await pagesOf(CLAIM, ["", 8, 60])).toBeLessThan(alone * 1.5 + 50);
  });
});

describe("a subject that becomes due by time", () => {
  it("a subject that becomes due by time is claimed although a lap over the integrations takes several steps", async () => {
    await crowd(1200, 1);
    await world.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) values ('b', 'item', 'late', now() + interval '300 ms')",
    );
    await world.sync.start();
    await until("a run of it", async () => (await world.sync.subject("late")).status === "unlinked");
  });

  it("a subject that becomes due by time is made ready in one lap, however many others become due with it", async () => {
    await crowd(700, 1);
    await crowd(1, 5000, -60, "b");
    await world.database.query("update sync.subjects set ready = false");
    await overdue("c", "single");
    let laps = 0;
    for (let after = ""; laps === 0;) {
      ({ after } = await wake(world.database, after));
      if (after === "") laps += 1;
    }
    expect(await readyIds()).toContain("single");
    // Those of the crowd wait for later, and of the five thousand a thousand at most are ready.
    expect((await readyIds()).length).toBeLessThanOrEqual(1001);
  });

  it("a wake reports that more subjects became due, so that the next one need not wait", async () => {
    await crowd(1, 1500, -60);
    await world.database.query("update sync.subjects set ready = false");
    expect(await wake(world.database, "")).toEqual({ after: "", more: true });
    expect(await wake(world.database, "")).toEqual({ after: "", more: false });
    expect(await readyIds()).toHaveLength(1500);
  });

  it("a subject that becomes due by time during the commit of its run stays with that run", async () => {
    await overdue("b", "committing");
    await world.database.transaction(async (tx) => {
      await tx.query("select from sync.subjects where id = 'committing' for key share");
      await wake(world.database, "");
      expect(await readyIds()).toEqual([]);
    });
    await wake(world.database, "");
    expect(await readyIds()).toEqual(["committing"]);
  });

  it("a wake reads as many pages beside many waiting subjects of an integration as beside few", async () => {
    await crowd(50, 1);
    await world.database.query("vacuum analyze sync.subjects");
    const few = await pagesOf(WAKE, [""]);
    await crowd(1, 40_000, 7200, "b");
    await world.database.query("vacuum analyze sync.subjects");
    expect(await pagesOf(WAKE, [""])).toBeLessThan(few * 1.5 + 50);
  });

  it("a subject that became due by time counts as due before it is made ready", async () => {
    await crowd(3, 4);
    await overdue("b", "counted");
    await overdue("c", "counted too");
    expect(await dueDepth(world.database)).toMatchObject({ due: 2, running: 0 });
    expect((await dueDepth(world.database)).oldest_due_seconds).toBeGreaterThanOrEqual(1);
  });
});

describe("the list of subjects", () => {
  it("the list of subjects with a status, and that of an integration, read few pages beside 20,000 other subjects", async () => {
    await world.database.query(
      `insert into sync.subjects (integration_id, kind, id, status)
       select 'crowded', 'transfer', 't' || n, 'ok' from generate_series(1, 20000) n
       union all select 'other', 'wallet', 'w' || n, 'misconfigured' from generate_series(1, 3) n`,
    );
    await world.database.query("vacuum analyze sync.subjects, tartan.registered_subjects");
    for (const [integration, status] of [
      [null, "misconfigured"],
      ["other", null],
    ])
      expect(
        await pagesOf({ name: "", text: LIST_SUBJECTS }, [integration, null, status, "", "", "", 51]),
        `integration ${integration ?? "any"}, status ${status ?? "any"}`,
      ).toBeLessThan(50);
  });
});

describe("ready", () => {
  it("the column ready follows due_at for every statement that writes it", async () => {
    const set = (due: string) => world.database.query(`update sync.subjects set due_at = ${due} where id = 'x'`);
    const isReady = async () => (await readyIds()).includes("x");
    await world.database.query("insert into sync.subjects (integration_id, kind, id) values ('i', 'item', 'x')");
    expect(await isReady()).toBe(false);
    for (const [due, expected] of [
      ["now()", true],
      ["now() + interval '1 minute'", false],
      ["now() - interval '1 minute'", true],
      ["null", false],
    ] as const) {
      await set(due);
      expect(await isReady(), due).toBe(expected);
    }
  });
});
