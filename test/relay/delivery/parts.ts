/** A delivery and its destination as the parts of the relay get them from one another, for tests of one part without a database. */
import { randomUUID } from "node:crypto";
import type { Queryable } from "../../../src/database/types.ts";
import type { Transforms } from "../../../src/relay/content/transform.ts";
import type { PrefetchedDelivery } from "../../../src/relay/delivery/prefetcher.ts";
import type { LoadedDestination } from "../../../src/relay/model/types.ts";

export const NO_DATABASE: Queryable = {
  query: () => Promise.reject(new Error("nothing is asked of the database")),
};
export const NO_TRANSFORMS: Transforms = {
  run: () => Promise.reject(new Error("no transform")),
  [Symbol.asyncDispose]: async () => undefined,
};

/** Its schedule has two retries, and it has no keys. */
export const loadedDestination = (fields: Partial<LoadedDestination>): LoadedDestination => ({
  id: "dst_1",
  version: 1,
  url: "https://receiver.test/",
  headers: {},
  ca: null,
  timeoutMs: 15_000,
  schedule: [5, 300],
  rate: null,
  concurrency: 8,
  ordering: "parallel",
  disableAfterS: 432_000,
  paused: false,
  disabled: false,
  keys: [],
  ...fields,
});

/** A delivery of a webhook with this body, in its original form. */
export const prefetchedDelivery = (body: Buffer, fields: Partial<PrefetchedDelivery> = {}): PrefetchedDelivery => ({
  id: randomUUID(),
  eventId: randomUUID(),
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
  bytes: body,
  size: body.length,
  ...fields,
});
