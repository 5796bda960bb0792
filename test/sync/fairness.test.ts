/** Whose turn it is. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claim, giveBack } from "../../src/sync/queue.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

describe("fairness", () => {
  it("an integration with a thousand due subjects does not delay one with a single one", async () => {
    const quiet = await world.integration.another();
    const ids = Array.from({ length: 1000 }, (_, n) => `noise_${n}`);
    const mark = (integration: string, id: string, seconds: number) =>
      world.database.query(
        "insert into sync.subjects (integration_id, kind, id, due_at) values ($1, 'item', $2, now() - $3 * interval '1 second')",
        [integration, id, seconds],
      );
    await world.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) select $1, 'item', unnest($2::text[]), now() - interval '1 hour'",
      [world.integration.id, ids],
    );
    await mark(quiet, "whisper", 0);
    for (const [after, count] of [
      ["", 1],
      [world.integration.id, 1],
      [quiet, 1],
      ["", 4],
      ["~", 4],
    ] as const) {
      const claims = [...(await claim(world.database, after, count, 60))];
      const next = claims.length === 1 ? await claim(world.database, claims[0]?.integrationId ?? "", 1, 60) : [];
      const all = [...claims, ...next];
      expect(
        all.map(({ id }) => id),
        `after ${after}, ${count}`,
      ).toContain("whisper");
      for (const held of all) await giveBack(world.database, held);
    }
    await world.database.query("delete from sync.subjects where id like 'noise%' or id = 'whisper'");
  });

  it("of each integration the subject that waits longest is claimed first, by one worker only", async () => {
    await world.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) select $1, 'item', 'queue_' || n, now() - n * interval '1 minute' from generate_series(1, 40) n",
      [world.integration.id],
    );
    const [first] = await claim(world.database, "", 1, 60);
    expect(first?.id).toBe("queue_40");
    const claims = (await Promise.all(Array.from({ length: 6 }, () => claim(world.database, "", 5, 60)))).flat();
    expect(new Set(claims.map(({ id }) => id)).size).toBe(claims.length);
    expect(claims.length).toBeGreaterThanOrEqual(5);
    await world.database.query("delete from sync.subjects where id like 'queue%'");
  });
});
