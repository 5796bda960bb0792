/** An attempt that was noted ahead waits for the answer before it; what happens meanwhile decides whether it is sent. */
import { describe, expect, test } from "vitest";
import { DestinationAttempts, type AttemptDeps } from "../../../src/relay/delivery/attempts.ts";
import { FRESH } from "../../../src/relay/delivery/circuit-breaker.ts";
import { ConcurrencyLimit } from "../../../src/relay/delivery/concurrency-limit.ts";
import { PayloadMemory } from "../../../src/relay/delivery/payloads.ts";
import { until } from "../../support/until.ts";
import { LOOPBACK, receiver, urlOf } from "../receivers.ts";
import { loadedDestination, NO_DATABASE, NO_TRANSFORMS, prefetchedDelivery } from "./parts.ts";

const BODY = Buffer.from("{}");

/** A destination of concurrency 1 with one request under way, which `answer` answers, and one attempt that is noted and waits. */
async function opened() {
  let answer = (_status: number): void => undefined;
  const application = await receiver((response) => {
    answer = (status) => void response.writeHead(status, { "retry-after": "60" }).end();
  });
  const destination = loadedDestination({ url: urlOf(application), concurrency: 1 });
  const [noted, finished]: [string[], string[]] = [[], []];
  const limit = new ConcurrencyLimit(16);
  const deps = {
    database: NO_DATABASE,
    notes: {
      note: async ({ deliveryId }: { deliveryId: string }) => {
        noted.push(deliveryId);
        return { answer: "noted", isLate: () => false };
      },
      finished: (_: string, id: string) => void finished.push(id),
    },
    recorder: { record: async () => "recorded", keep: async () => undefined },
    transforms: NO_TRANSFORMS,
    payloads: new PayloadMemory(),
    guard: LOOPBACK,
    limit,
    now: () => Date.now(),
  } as unknown as AttemptDeps;
  const user = { concurrency: 1 };
  const lease = { destinationId: destination.id, epoch: 1, health: FRESH };
  const attempts = new DestinationAttempts(deps, lease, destination, user, () => undefined);
  limit.join(user);
  const [first, ahead] = [prefetchedDelivery(BODY), prefetchedDelivery(BODY)];
  const deliveries = [first, ahead].map((each) => attempts.deliver(each, () => undefined));
  await until("one is sent and one waits", () => application.received.length === 1 && noted.length === 2);
  return {
    application,
    attempts,
    destination,
    answer: (status: number) => answer(status),
    /** what became of both: whether they are finished */
    ended: () => Promise.all(deliveries),
    /** whether the note of the one that waited is over */
    isFreed: () => finished.includes(ahead.id),
    [Symbol.asyncDispose]: async () => {
      await attempts[Symbol.asyncDispose]();
      await application[Symbol.asyncDispose]();
    },
  };
}

type Opened = Awaited<ReturnType<typeof opened>>;

describe("an attempt that was noted ahead", () => {
  test.each<[string, (o: Opened) => unknown, number]>([
    ["was paused", ({ attempts, destination }) => attempts.change({ ...destination, paused: true }), 200],
    ["was changed", ({ attempts, destination }) => attempts.change({ ...destination, timeoutMs: 1_000 }), 200],
    ["stops", ({ attempts }) => attempts.stop(), 200],
    ["answered 410 to the request before it", () => undefined, 410],
    ["asked to wait with its answer to the request before it", () => undefined, 429],
  ])("is not sent when its destination %s, and its note is over", async (_, happens, status) => {
    await using o = await opened();
    await happens(o);
    o.answer(status);
    const [, second] = await o.ended();
    expect(second).toBe(false);
    expect(o.isFreed()).toBe(true);
    expect(o.application.received).toHaveLength(1);
  });

  test("is sent as soon as the request before it is answered", async () => {
    await using o = await opened();
    o.answer(200);
    await until("it is sent", () => o.application.received.length === 2);
    o.answer(200);
    expect(await o.ended()).toEqual([true, true]);
  });
});
