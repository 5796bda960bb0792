import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { Holdings } from "../../src/relay/holdings.ts";
import { openScene } from "./scene.ts";

/** A clock whose sleepers sleep until they are woken. */
function sleepyClock(): Clock & { wake(): void } {
  let wakes: (() => void)[] = [];
  return {
    now: Date.now,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        wakes.push(resolve);
        signal?.addEventListener("abort", () => resolve());
      }),
    wake: () => {
      for (const wake of wakes.splice(0)) wake();
      wakes = [];
    },
  };
}

describe("what a worker holds", () => {
  it("is not safe to send to once the lease is nearly over, nor after a late renewal until it has been looked at", async () => {
    await using scene = await openScene();
    const { id } = await scene.destination(await scene.receiver());
    const clock = sleepyClock();
    await using holdings = new Holdings({ database: scene.database, clock, logger: silentLogger, leaseSeconds: 6 });
    await holdings.start();
    const { taken } = await holdings.take([]);
    expect(taken.map(({ destinationId }) => destinationId)).toEqual([id]);
    expect(holdings.safe()).toBe(true);
    await delay(1100);
    expect(holdings.safe()).toBe(false);
    clock.wake();
    await delay(200);
    expect(holdings.safe()).toBe(false);
    const looked = await holdings.look([{ id, epoch: taken[0]?.epoch ?? 0 }]);
    expect(looked).toMatchObject([{ id, held: true }]);
    expect(holdings.safe()).toBe(true);
  });

  it("is not another's while its worker lives, and is as soon as its worker is gone", async () => {
    await using scene = await openScene();
    await scene.destination(await scene.receiver());
    const options = { database: scene.database, logger: silentLogger, leaseSeconds: 45 };
    const first = new Holdings({ ...options, clock: sleepyClock() });
    await first.start();
    expect((await first.take([])).taken).toHaveLength(1);
    await using second = new Holdings({ ...options, clock: sleepyClock() });
    await second.start();
    await scene.database.query("update relay.workers set beat_at = now() - interval '30 seconds'");
    expect((await second.take([])).taken).toHaveLength(0);
    // Its session ends, as it does when a process is killed; nothing was given back.
    await scene.database.query("select pg_terminate_backend(session_pid) from relay.workers where id = $1", [
      first.worker,
    ]);
    await delay(300);
    const { taken } = await second.take([]);
    expect(taken).toMatchObject([{ epoch: 2 }]);
    await first[Symbol.asyncDispose]();
  });
});
