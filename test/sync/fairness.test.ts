/** Whose turn it is. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claim, giveBack } from "../../src/sync/queue.ts";
import { openScene, type Scene } from "./support.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

describe("fairness", () => {
  it("an integration with a thousand due subjects does not delay one with a single one", async () => {
    const quiet = await scene.integrate();
    const ids = Array.from({ length: 1000 }, (_, n) => `noise_${n}`);
    const mark = (integration: string, id: string, seconds: number) =>
      scene.database.query(
        "insert into sync.subjects (integration_id, kind, id, due_at) values ($1, 'item', $2, now() - $3 * interval '1 second')",
        [integration, id, seconds],
      );
    await scene.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) select $1, 'item', unnest($2::text[]), now() - interval '1 hour'",
      [scene.integrationId, ids],
    );
    await mark(quiet, "whisper", 0);
    for (const [after, count] of [
      ["", 1],
      [scene.integrationId, 1],
      [quiet, 1],
      ["", 4],
      ["~", 4],
    ] as const) {
      const claims = [...(await claim(scene.database, after, count, 60))];
      const next = claims.length === 1 ? await claim(scene.database, claims[0]?.integrationId ?? "", 1, 60) : [];
      const all = [...claims, ...next];
      expect(
        all.map(({ id }) => id),
        `after ${after}, ${count}`,
      ).toContain("whisper");
      for (const held of all) await giveBack(scene.database, held);
    }
    await scene.database.query("delete from sync.subjects where id like 'noise%' or id = 'whisper'");
  });

  it("of each integration the subject that waits longest is claimed first, by one worker only", async () => {
    await scene.database.query(
      "insert into sync.subjects (integration_id, kind, id, due_at) select $1, 'item', 'queue_' || n, now() - n * interval '1 minute' from generate_series(1, 40) n",
      [scene.integrationId],
    );
    const [first] = await claim(scene.database, "", 1, 60);
    expect(first?.id).toBe("queue_40");
    const claims = (await Promise.all(Array.from({ length: 6 }, () => claim(scene.database, "", 5, 60)))).flat();
    expect(new Set(claims.map(({ id }) => id)).size).toBe(claims.length);
    expect(claims.length).toBeGreaterThanOrEqual(5);
    await scene.database.query("delete from sync.subjects where id like 'queue%'");
  });
});
