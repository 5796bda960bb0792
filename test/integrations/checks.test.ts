/** When looks at items are planned, and how several processes share them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimChecks, finishCheck, planChecks, type Check } from "../../src/integrations/checks.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { integrate } from "./support.ts";

const DAY = 86_400;
let world: World;
let id: string;
beforeEach(async () => {
  world = await startWorld();
  id = await integrate(world);
});
afterEach(() => world[Symbol.asyncDispose]());

/** Items that were linked at once; a token need not be one that opens. */
const link = (count: number, prefix = "item"): Promise<unknown> =>
  world.database.query(
    `insert into tartan.items (integration_id, item_id, access_token_sealed)
     select $1, $2 || n, 'sealed' from generate_series(1, $3::int) n`,
    [id, prefix, count],
  );

/** How many checks are due in each tenth of the day that begins now. */
async function tenths(): Promise<number[]> {
  const { rows } = await world.database.query<{ tenth: number; items: number }>(
    `select floor(extract(epoch from check_at - now()) / ($1::int / 10))::int as tenth, count(*)::int as items
     from tartan.items group by 1 order by 1`,
    [DAY],
  );
  return rows.map(({ items }) => items);
}

const overdue = (interval: string): Promise<unknown> =>
  world.database.query(`update tartan.items set check_at = now() - $1::interval * random()`, [interval]);

/** Claims until nothing more is given just now. */
async function claimAll(windowSeconds: number, count = 100): Promise<Check[]> {
  const all: Check[] = [];
  for (;;) {
    const claimed = await claimChecks(world.database, windowSeconds, count);
    all.push(...claimed);
    if (claimed.length === 0) return all;
  }
}

describe("checks of items", () => {
  it("the checks of a thousand items that were linked at once are spread evenly over the window", async () => {
    await link(1000);
    await planChecks(world.database, DAY);
    const spread = await tenths();
    expect(spread).toHaveLength(10);
    for (const items of spread) expect(Math.abs(items - 100)).toBeLessThanOrEqual(2);
  });

  it("checks are planned for more items than one statement plans", async () => {
    await link(2500);
    await planChecks(world.database, DAY);
    expect((await tenths()).reduce((sum, items) => sum + items)).toBe(2500);
  });

  it("checks keep their time when they are planned again, and move into a shortened window", async () => {
    await link(10);
    await planChecks(world.database, DAY);
    const times = () => world.database.query("select item_id, check_at from tartan.items order by item_id");
    const before = (await times()).rows;
    await planChecks(world.database, DAY);
    expect((await times()).rows).toEqual(before);
    await planChecks(world.database, 3600);
    const { rows } = await world.database.query("select from tartan.items where check_at > now() + interval '1 hour'");
    expect(rows).toEqual([]);
  });

  it("checks are not claimed before their time", async () => {
    await link(50);
    await planChecks(world.database, DAY);
    await world.database.query("update tartan.items set check_at = now() + interval '1 minute'");
    expect(await claimAll(DAY)).toEqual([]);
  });

  it("checks of items without a token are neither planned nor claimed", async () => {
    await link(3);
    await world.database.query("update tartan.items set access_token_sealed = null where item_id = 'item2'");
    await planChecks(world.database, 2);
    const { rows } = await world.database.query("select item_id from tartan.items where check_at is null");
    expect(rows).toEqual([{ item_id: "item2" }]);
    await overdue("1 day");
    expect((await claimAll(2)).map(({ itemId }) => itemId).toSorted()).toEqual(["item1", "item3"]);
  });

  it("checks that are overdue after days without Tartan are claimed at no more than twice the even rate", async () => {
    await link(1000);
    await planChecks(world.database, 1000);
    await overdue("3 days");
    const { rows } = await world.database.query<{ began: Date }>("select clock_timestamp() as began");
    const claimed = await claimAll(1000);
    const now = await world.database.query<{ seconds: number }>(
      "select extract(epoch from clock_timestamp() - $1::timestamptz)::float8 as seconds",
      [rows[0]?.began],
    );
    // Two a second, and what two idle seconds had saved.
    expect(claimed.length).toBeLessThanOrEqual(((now.rows[0]?.seconds ?? 0) + 2) * 2 + 2);
    expect(claimed.length).toBeGreaterThan(0);
  });

  it("the checks that have been due for longest are claimed first", async () => {
    await link(3);
    await planChecks(world.database, 2);
    await world.database.query("update tartan.items set check_at = now() - right(item_id, 1)::int * interval '1 hour'");
    expect((await claimChecks(world.database, 0.001, 3)).map(({ itemId }) => itemId)).toEqual([
      "item3",
      "item2",
      "item1",
    ]);
  });

  it("a check is claimed once, however many processes claim checks", async () => {
    await link(300);
    await planChecks(world.database, 0.01);
    await overdue("1 hour");
    const claimed: string[] = [];
    const process = async () => {
      for (let empty = 0; empty < 20; empty += 1) {
        const checks = await claimChecks(world.database, 0.01, 7);
        if (checks.length > 0) empty = 0;
        claimed.push(...checks.map(({ itemId }) => itemId));
      }
    };
    await Promise.all([process(), process(), process(), process()]);
    expect(claimed).toHaveLength(300);
    expect(new Set(claimed).size).toBe(300);
  });

  it("the checks of a process that died are due again when their lease ends", async () => {
    await link(1);
    await planChecks(world.database, 2);
    await overdue("1 hour");
    expect(await claimAll(2)).toHaveLength(1);
    expect(await claimAll(2)).toEqual([]);
    const { rows } = await world.database.query(
      "select from tartan.items where check_at > now() and check_at <= now() + interval '5 minutes'",
    );
    expect(rows).toHaveLength(1);
    // The lease of five minutes is not taken for a plan beyond the window of two seconds.
    await planChecks(world.database, 2);
    expect(await claimAll(2)).toEqual([]);
    await world.database.query("update tartan.items set check_at = check_at - interval '5 minutes'");
    expect(await claimAll(2)).toHaveLength(1);
  });

  it("a finished check is due again a window later, with what it read", async () => {
    await link(1);
    await planChecks(world.database, 2);
    await overdue("1 hour");
    const [check] = await claimAll(2);
    await finishCheck(world.database, check as Check, 3600, { last_webhook: "2026-11-20T10:00:00Z" });
    const { rows } = await world.database.query(
      `select from tartan.items where checked_at <= now() and check_at between now() + interval '59 min' and now() + interval '1 hour'`,
    );
    expect(rows).toHaveLength(1);
    await overdue("1 hour");
    await world.database.query("select pg_sleep(1.1)");
    expect((await claimAll(2))[0]?.seen).toEqual({ last_webhook: "2026-11-20T10:00:00Z" });
  });
});
