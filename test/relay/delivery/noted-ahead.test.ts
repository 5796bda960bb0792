/** An attempt that was noted ahead waits for the answer before it; what happens meanwhile decides whether it is sent. */
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Queryable } from "../../../src/database/types.ts";
import { newUuid } from "../../../src/model/ids.ts";
import type { Transforms } from "../../../src/relay/content/transform.ts";
import { DestinationAttempts, type AttemptDeps } from "../../../src/relay/delivery/attempts.ts";
import { FRESH } from "../../../src/relay/delivery/circuit-breaker.ts";
import { ConcurrencyLimit } from "../../../src/relay/delivery/concurrency-limit.ts";
import { PayloadMemory } from "../../../src/relay/delivery/payloads.ts";
import type { PrefetchedDelivery } from "../../../src/relay/delivery/prefetcher.ts";
import type { LoadedDestination } from "../../../src/relay/model/types.ts";
import { until } from "../../support/until.ts";
import { LOOPBACK, receiver, urlOf } from "../receivers.ts";

const nobody: Queryable = { query: () => Promise.reject(new Error("nothing is asked of the database")) };
const none: Transforms = {
  run: () => Promise.reject(new Error("no transform")),
  [Symbol.asyncDispose]: async () => undefined,
};

const BODY = Buffer.from("{}");
const delivery = (): PrefetchedDelivery => ({
  id: randomUUID(),
  eventId: newUuid(),
  eventType: "webhook.received",
  integrationId: "svi_1",
  environment: "sandbox",
  itemId: "item-1",
  userId: null,
  subjectKind: null,
  subjectId: null,
  history: false,
  webhookType: "TRANSACTIONS",
  webhookCode: "SYNC_UPDATES_AVAILABLE",
  source: "PLAID",
  occurredAt: new Date(),
  verification: null,
  keyId: null,
  signedAt: null,
  orderingKey: null,
  form: "original",
  attempts: 0,
  tries: 0,
  jobId: null,
  body: null,
  bodySha256: null,
  transform: null,
  bytes: BODY,
  size: BODY.length,
});

/** A destination of concurrency 1 with one request under way, which `answer` answers, and one attempt that is noted and waits. */
async function opened() {
  let answer = (_status: number): void => undefined;
  const application = await receiver((response) => {
    answer = (status) => void response.writeHead(status, { "retry-after": "60" }).end();
  });
  const destination: LoadedDestination = {
    id: "dst_1",
    version: 1,
    url: urlOf(application),
    headers: {},
    ca: null,
    timeoutMs: 15_000,
    schedule: [5, 300],
    rate: null,
    concurrency: 1,
    ordering: "parallel",
    disableAfterS: 432_000,
    paused: false,
    disabled: false,
    keys: [],
  };
  const [noted, finished]: [string[], string[]] = [[], []];
  const limit = new ConcurrencyLimit(16);
  const deps = {
    database: nobody,
    notes: {
      note: async ({ deliveryId }: { deliveryId: string }) => {
        noted.push(deliveryId);
        return { answer: "noted", isLate: () => false };
      },
      finished: (_: string, id: string) => void finished.push(id),
    },
    recorder: { record: async () => "recorded", keep: async () => undefined },
    transforms: none,
    payloads: new PayloadMemory(),
    guard: LOOPBACK,
    limit,
    now: () => Date.now(),
  } as unknown as AttemptDeps;
  const user = { concurrency: 1 };
  const lease = { destinationId: destination.id, epoch: 1, health: FRESH };
  const attempts = new DestinationAttempts(deps, lease, destination, user, () => undefined);
  limit.join(user);
  const [first, ahead] = [delivery(), delivery()];
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
