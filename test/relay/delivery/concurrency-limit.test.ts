import { describe, expect, it } from "vitest";
import { ConcurrencyLimit, type LimitUser } from "../../../src/relay/delivery/concurrency-limit.ts";
import { until } from "../../support/until.ts";
import { count } from "../support.ts";
import { startWorld } from "../../support/world/index.ts";

/** A destination that asks for so many requests at once, and counts those that it has got. */
function user(
  limit: ConcurrencyLimit,
  concurrency: number,
): LimitUser & { granted: number; ask(times: number): Promise<void> } {
  const made = {
    concurrency,
    granted: 0,
    ask: async (times: number) => {
      for (let n = 0; n < times; n += 1) void limit.acquire(made).then((got) => (made.granted += Number(got)));
      await Promise.resolve();
      await Promise.resolve();
    },
  };
  limit.join(made);
  return made;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("requests under the concurrency limit", () => {
  it("requests under the concurrency limit are never more than the limit, however many several destinations ask for", async () => {
    const limit = new ConcurrencyLimit(64);
    const users = [user(limit, 256), user(limit, 256), user(limit, 256)];
    for (const each of users) await each.ask(256);
    await settled();
    const granted = users.reduce((sum, each) => sum + each.granted, 0);
    expect(granted).toBeLessThanOrEqual(64);
    expect(granted).toBeGreaterThanOrEqual(64 - 8);
  });

  it("requests under the concurrency limit stay within the limit when many destinations join while nearly all of it is in use", async () => {
    const limit = new ConcurrencyLimit(64);
    const first = user(limit, 256);
    await first.ask(256);
    await settled();
    const late = Array.from({ length: 8 }, () => user(limit, 256));
    for (const each of late) await each.ask(64);
    await settled();
    expect(late.reduce((sum, each) => sum + each.granted, first.granted)).toBeLessThanOrEqual(64);
  });

  it("requests under the concurrency limit leave every destination its reserve, also one that joins when four others use all that they can get", async () => {
    const limit = new ConcurrencyLimit(1024);
    const slow = [1, 2, 3, 4].map(() => user(limit, 256));
    for (const each of slow) await each.ask(256);
    await settled();
    const late = user(limit, 256);
    await late.ask(64);
    await settled();
    expect(late.granted).toBe(64);
  });

  it("requests under the concurrency limit are granted to a destination below its reserve before others that waited longer", async () => {
    const limit = new ConcurrencyLimit(8);
    const [greedy, modest] = [user(limit, 100), user(limit, 1)];
    await greedy.ask(100);
    await settled();
    const had = greedy.granted;
    await modest.ask(1);
    await settled();
    expect(modest.granted).toBe(1);
    expect(greedy.granted).toBe(had);
  });

  it("requests under the concurrency limit are granted in turn when the limit is below the number of destinations", async () => {
    const limit = new ConcurrencyLimit(1);
    const users = [user(limit, 4), user(limit, 4), user(limit, 4)];
    for (const each of users) await each.ask(2);
    await settled();
    expect(users.map(({ granted }) => granted)).toEqual([1, 0, 0]);
    const next = async (holder: number) => {
      limit.release(users[holder] as LimitUser);
      await settled();
      return users.map(({ granted }) => granted);
    };
    // The first one's second request has waited longest; then it is the others' turn.
    expect(await next(0)).toEqual([2, 0, 0]);
    expect(await next(0)).toEqual([2, 1, 0]);
    expect(await next(1)).toEqual([2, 1, 1]);
    expect(await next(2)).toEqual([2, 2, 1]);
  });

  it("requests under the concurrency limit are refused to a destination that stops, and its own are free again after it left", async () => {
    const limit = new ConcurrencyLimit(2);
    const [one, two] = [user(limit, 8), user(limit, 8)];
    await one.ask(8);
    await settled();
    expect(one.granted).toBe(2);
    await two.ask(1);
    limit.cancelWaiting(one);
    limit.leave(one);
    await settled();
    expect(two.granted).toBe(1);
    expect(one.granted).toBe(2);
  });
});

describe("a relay's concurrency limit", () => {
  it("a relay's concurrency limit holds for several destinations whose concurrencies add up to more", async () => {
    await using world = await startWorld({ relay: {} });
    const receivers = [await world.relay.receiver(), await world.relay.receiver(), await world.relay.receiver()];
    let [open, most] = [0, 0];
    for (const receiver of receivers) {
      await world.relay.destination(receiver, { concurrency: 16 });
      receiver.answer = async () => {
        open += 1;
        most = Math.max(most, open);
        await new Promise((resolve) => setTimeout(resolve, 20));
        open -= 1;
        return {};
      };
    }
    const relay = await world.relay.start({ concurrency: 10 });
    await world.relay.webhooks(...count(40));
    await relay.idle();
    expect(most).toBeLessThanOrEqual(10);
    expect(receivers.map(({ received }) => received.length)).toEqual([40, 40, 40]);
  });

  it("a relay's concurrency limit leaves room for a destination while others never answer", async () => {
    await using world = await startWorld({ relay: {} });
    const [dead, healthy] = [await world.relay.receiver(), await world.relay.receiver()];
    dead.answer = () => ({ hang: true });
    for (let n = 0; n < 4; n += 1) await world.relay.destination(dead, { concurrency: 16, timeout_ms: 30_000 });
    const { id } = await world.relay.destination(healthy);
    await world.relay.start({ concurrency: 40, stopSeconds: 0 });
    await world.relay.webhooks(...count(30));
    await until("the healthy one has all", async () => (await world.relay.statuses(id))["delivered"] === 30, 20);
    expect(dead.open).toBeGreaterThan(16);
  });

  it("a relay's concurrency limit is not used up by slow transforms", async () => {
    await using world = await startWorld({ relay: {} });
    const [slow, quick] = [await world.relay.receiver(), await world.relay.receiver()];
    // A transform is stopped after 250 ms, so each of these holds what it holds for that long.
    const endless = "($f := function($n) { $n = 0 ? 0 : $f($n + 1) }; $f(1))";
    await world.relay.destination(slow, { concurrency: 4 }, { form: "transform", transform: endless });
    const { id } = await world.relay.destination(quick);
    await world.relay.start({ concurrency: 1, stopSeconds: 0 });
    await world.relay.webhooks(...count(20));
    await until("the other one has all", async () => (await world.relay.statuses(id))["delivered"] === 20, 20);
    expect(slow.received).toHaveLength(0);
  });
});
