/** Any sequence of runs, against a simple model of what they should do. */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { removeEverything } from "../../src/mirror/apply.ts";
import type { Changes } from "../../src/mirror/types.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { appliedTo, apply, hold, page, resource, rowsOf, txn } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

interface Step {
  whole: boolean;
  pages: { upserts: { id: number; version: number; as: "added" | "modified" }[]; removed: number[] }[];
}
interface Row {
  version: number;
  current: boolean;
}

const id = fc.nat({ max: 6 });
const step: fc.Arbitrary<Step> = fc.record({
  whole: fc.boolean(),
  pages: fc.array(
    fc.record({
      upserts: fc.array(
        fc.record({ id, version: fc.nat({ max: 2 }), as: fc.constantFrom("added" as const, "modified" as const) }),
        { maxLength: 6 },
      ),
      removed: fc.array(id, { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
});

/** What a run makes of the model; says what changed from before it to after it. */
function play(model: Map<number, Row>, { pages, whole }: Step): Changes {
  const before = new Map([...model].map(([key, row]) => [key, { ...row }]));
  const written = new Set<number>();
  const seen = new Set<number>();
  const put = (key: number, row: Row): void => {
    const old = model.get(key);
    if (old?.current === row.current && (!row.current || old.version === row.version)) return;
    if (!old && !row.current) return;
    model.set(key, row);
    written.add(key);
  };
  for (const { upserts, removed } of pages) {
    const inOrder = [...upserts.filter(({ as }) => as === "added"), ...upserts.filter(({ as }) => as === "modified")];
    for (const { id: key, version } of new Map(inOrder.map((each) => [each.id, each])).values()) {
      seen.add(key);
      put(key, { version, current: true });
    }
    for (const key of removed) put(key, { version: model.get(key)?.version ?? 0, current: false });
  }
  if (whole && [...before.values(), ...model.values()].some(({ current }) => current)) {
    const reconciles = [...before.values()].some(({ current }) => current);
    if (reconciles) for (const [key, row] of model) if (!seen.has(key)) put(key, { ...row, current: false });
  }
  const changes = { added: 0, modified: 0, removed: 0 };
  for (const key of written) {
    const [was, is] = [before.get(key)?.current ?? false, model.get(key)?.current ?? false];
    if (!was && is) changes.added += 1;
    else if (was && !is) changes.removed += 1;
    else if (was && is) changes.modified += 1;
  }
  return changes;
}

describe("any sequence of runs", () => {
  it("any sequence of runs leaves the rows and reports the counts of a simple model", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
        const scope = hold();
        const model = new Map<number, Row>();
        for (const each of steps) {
          const texts = each.pages.map(({ upserts, removed }) => {
            const of = (as: string) =>
              upserts.filter((one) => one.as === as).map((one) => txn(`t${one.id}`, { name: `v${one.version}` }));
            return page(
              of("added"),
              of("modified"),
              removed.map((key) => `t${key}`),
            );
          });
          await world.database.query("delete from mirror.staged_pages where lease_token = $1", [scope.leaseToken]);
          expect(await apply(world, scope, "transactions", texts, each.whole)).toEqual(play(model, each));
          const current = [...model]
            .filter(([, row]) => row.current)
            .map(([key, row]) => ({ id: `t${key}`, name: `v${row.version}` }));
          const found = await rowsOf(world, scope, "transaction_id as id, name, removed_at");
          expect(
            found.filter((row) => row["removed_at"] === null).map(({ id: key, name }) => ({ id: key, name })),
          ).toEqual(current.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
        }
        const removed = await world.database.transaction((tx) => removeEverything(tx, scope, resource("transactions")));
        expect(appliedTo("transactions", removed).changes.removed).toBe(
          [...model.values()].filter(({ current }) => current).length,
        );
      }),
      { numRuns: 150 },
    );
  });
});
