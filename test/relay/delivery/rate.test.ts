import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Relay } from "../../../src/relay/relay.ts";
import { until } from "../../support/until.ts";
import { count } from "../support.ts";
import { startWorld } from "../../support/world/index.ts";

/** The most that came within any window of `windowMs`, wherever it begins. */
function most(times: readonly number[], windowMs: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  let from = 0;
  return sorted.reduce((highest, at, to) => {
    while ((sorted[from] ?? 0) <= at - windowMs) from += 1;
    return Math.max(highest, to - from + 1);
  }, 0);
}

describe("a rate limit", () => {
  it("a rate limit holds in every window while destinations change hands between several relays", async () => {
    await using world = await startWorld({ relay: {} });
    const limits = [3, 7, 20];
    const receivers = await Promise.all(limits.map(() => world.relay.receiver()));
    const ids: string[] = [];
    for (const [n, receiver] of receivers.entries()) {
      receiver.answer = () => ({ delayMs: Math.random() * 60, status: Math.random() < 0.1 ? 500 : 200 });
      const columns = {
        rate_limit: limits[n],
        rate_window_ms: 1000,
        concurrency: 16,
        schedule: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      };
      ids.push((await world.relay.destination(receiver, columns)).id);
    }
    const relays: Relay[] = [await world.relay.start(), await world.relay.start()];
    await world.relay.webhooks(...count(30));
    for (let turn = 0; turn < 3; turn += 1) {
      await delay(900 + Math.random() * 600);
      const leaving = relays.shift();
      relays.push(await world.relay.start());
      await leaving?.[Symbol.asyncDispose]();
    }
    await until("the quickest has all", async () => (await world.relay.statuses(ids[2]))["delivered"] === 30, 60);
    for (const [n, { received }] of receivers.entries()) {
      const limit = limits[n] ?? 0;
      expect(received.length).toBeGreaterThan(limit);
      expect(
        most(
          received.map(({ at }) => at),
          1000,
        ),
      ).toBeLessThanOrEqual(limit);
    }
  });

  it("a rate limit holds while held deliveries are sent", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { rate_limit: 25, rate_window_ms: 1000, concurrency: 32 });
    const relay = await world.relay.start();
    await world.relay.webhooks(...count(80));
    await until("all arrived", async () => (await world.relay.statuses(id))["delivered"] === 80);
    expect(
      most(
        receiver.received.map(({ at }) => at),
        1000,
      ),
    ).toBeLessThanOrEqual(25);
    void relay;
  });
});
