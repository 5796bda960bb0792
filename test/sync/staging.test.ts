/** Staged pages and the lease that they are staged under. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Queryable } from "../../src/database/types.ts";
import { eraseItem } from "../../src/lifecycle/items.ts";
import type { Page, Scope } from "../../src/mirror/types.ts";
import { transactions } from "../../src/resources/transactions.ts";
import { withoutMalformed } from "../../src/sync/malformed.ts";
import { claim } from "../../src/sync/queue.ts";
import { stagePage, sweepStaged, takeOver } from "../../src/sync/staging.ts";
import type { Outcome } from "../../src/sync/types.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

/** A linked item whose subject a worker holds. */
async function held(): Promise<Scope> {
  const [item] = world.integration.makeItems(1);
  if (!item) throw new Error("the simulator made no item");
  await world.integration.link(item);
  const [claimed] = await claim(world.database, "", 1, 60);
  if (!claimed) throw new Error("nothing was claimed");
  const { integrationId, kind, id: subjectId, leaseToken } = claimed;
  return { integrationId, kind, subjectId, leaseToken, facts: { user_id: null } };
}

async function stagedUnder({ leaseToken }: Scope, q: Queryable = world.database): Promise<number[]> {
  const { rows } = await q.query<{ page: number }>(
    "select page from mirror.staged_pages where lease_token = $1 order by page",
    [leaseToken],
  );
  return rows.map(({ page }) => page);
}

it("a worker whose lease is another's stages no page", async () => {
  const scope = await held();
  const late = { ...scope, leaseToken: randomUUID() };
  await expect(stagePage(world.database, late, "transactions", 0, "{}")).rejects.toMatchObject({ code: "lease_lost" });
  expect(await stagedUnder(late)).toEqual([]);
  await stagePage(world.database, scope, "transactions", 0, "{}");
  expect(await stagedUnder(scope)).toEqual([0]);
});

it("a page that is being staged while its item is erased is gone with the item", async () => {
  const scope = await held();
  let erasing: Promise<void> | undefined;
  await world.database.transaction(async (tx) => {
    await stagePage(tx, scope, "transactions", 0, "{}");
    erasing = eraseItem(world.database, scope.integrationId, scope.subjectId);
    await until("the erasure waits for the page", async () => {
      const { rows } = await world.database.query<{ waiting: number }>(
        "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rows[0]?.waiting === 1;
    });
    expect(await stagedUnder(scope, tx)).toEqual([0]);
  });
  await erasing;
  expect(await stagedUnder(scope)).toEqual([]);
  await expect(stagePage(world.database, scope, "transactions", 1, "{}")).rejects.toMatchObject({ code: "lease_lost" });
});

it("staged pages go to the holder of the lease alone, and only all of them", async () => {
  const first = await held();
  for (const page of [0, 1, 2]) await stagePage(world.database, first, "transactions", page, "{}");
  await world.database.query("update sync.subjects set lease_token = gen_random_uuid() where lease_token = $1", [
    first.leaseToken,
  ]);
  const { lease_token } = await world.sync.subject(first.subjectId);
  const second = { ...first, leaseToken: lease_token ?? "" };
  const request = { resource: "transactions", from: first.leaseToken, pages: 2 };
  const adopt = (by: Scope, pages = request.pages) =>
    world.database.transaction((tx) => takeOver(tx, by, { ...request, pages }));
  for (const pages of [2, 0]) {
    await expect(adopt(first, pages)).rejects.toMatchObject({ code: "lease_lost" });
  }
  expect(await stagedUnder(first)).toEqual([0, 1, 2]);
  expect(await adopt(second)).toBe(true);
  expect([await stagedUnder(first), await stagedUnder(second)]).toEqual([[], [0, 1]]);
  expect(await adopt(second)).toBe(false);
});

it("a sweep forgets old pages of leases that are gone, and no others", async () => {
  const [alive, gone, fresh] = [await held(), await held(), await held()];
  for (const scope of [alive, gone, fresh]) {
    for (const page of [0, 1]) await stagePage(world.database, scope, "transactions", page, "{}");
  }
  await world.database.query(
    "update mirror.staged_pages set staged_at = now() - interval '2 hours' where lease_token <> $1",
    [fresh.leaseToken],
  );
  for (const { leaseToken } of [gone, fresh]) {
    await world.database.query("update sync.subjects set lease_token = null, due_at = null where lease_token = $1", [
      leaseToken,
    ]);
  }
  await sweepStaged(world.database);
  expect([await stagedUnder(alive), await stagedUnder(gone), await stagedUnder(fresh)]).toEqual([[0, 1], [], [0, 1]]);
});

/** Staged pages and one that is not, as a loop that went on with those of an earlier run leaves them. */
async function readInPages(scope: Scope, texts: readonly string[], whole: boolean): Promise<Outcome> {
  const page: Page = { text: null, rows: true, removals: false };
  for (const [number, text] of texts.entries()) await stagePage(world.database, scope, "transactions", number, text);
  return {
    task: { resource: transactions, full: false, explicit: true },
    read: { resource: transactions, pages: [...texts.map(() => page), { ...page, text: "{}" }], whole },
    cursor: "end",
    root: null,
    complete: true,
  };
}

it.each([true, false])(
  "a loop with a staged page that is no JSON is dropped and begins where it began, with one page in memory (from the start: %s)",
  async (whole) => {
    const scope = await held();
    const outcome = await readInPages(scope, ["{}", '{"added": [}', "{}"], whole);
    const sizes: number[] = [];
    const counted = async (...args: Parameters<Queryable["query"]>) => {
      const result = await world.database.query(...args);
      sizes.push(result.rows.length);
      return result;
    };
    const [dropped] = (await withoutMalformed({ query: counted } as Queryable, scope, [outcome])) ?? [];
    expect(dropped).toMatchObject({
      task: { resource: transactions, full: whole },
      failure: { class: "backoff", errorCode: "UNREADABLE_ANSWER" },
    });
    expect(await stagedUnder(scope)).toEqual([]);
    expect(Math.max(...sizes)).toBe(1);
  },
);

it("a loop whose pages are all JSON is kept with its pages", async () => {
  const scope = await held();
  const outcome = await readInPages(scope, ["{}", "{}"], true);
  expect(await withoutMalformed(world.database, scope, [outcome])).toBeNull();
  expect(await stagedUnder(scope)).toEqual([0, 1]);
});
