/** The examples of destinations, routes, deliveries and jobs: those of examples.ts, told on. */
import { EXAMPLES } from "./examples.ts";

const DESTINATION_ID = "dst_7hq2mv9xkc4tzr8bwn3ypl6s";
const ROUTE_ID = "rte_3fd8kz1vqw6njm5xtb9cgr2h";
const EVENT_ID = "evt_0192f3a87d4c7a1e8c5b2f9d6e3a7b10";
const DELIVERY_ID = "dlv_0192f3a87d5170d29b6c4e8f1a2b3c4d";
const JOB_ID = "job_9yt4bx7rlm2dsk6wpz1vhn8c";
const SIGNING_SECRET = "whsec_ZXhhbXBsZS1rZWVwLWl0LWJlc2lkZS15b3VyLW90aGVycw==";

const key = {
  id: "sgk_5jn8pq3txv7rcb2ymk9wfd4g",
  scheme: "v1" as const,
  public_key: null,
  created_at: "2026-11-02T09:30:00.000Z",
  expires_at: null,
};

const destination = {
  id: DESTINATION_ID,
  name: "ledger",
  description: "Books card spending.",
  url: "https://ledger.example.com/webhooks/plaid",
  header_names: ["authorization"],
  has_ca: false,
  timeout_ms: 15_000,
  schedule: [5, 300, 1800, 7200, 18_000, 36_000, 36_000],
  rate_limit: { count: 50, window_ms: 1000 },
  concurrency: 8,
  ordering: "per_item" as const,
  disable_after_s: 432_000,
  status: "active" as const,
  disabled_reason: null,
  breaker: "closed" as const,
  hold_until: null,
  failures: 0,
  failing_since: null,
  last_success_at: "2026-11-20T17:03:29.612Z",
  last_failure_at: "2026-11-18T05:03:29.700Z",
  last_error: "status_503",
  scheduled: 2,
  oldest_due_at: "2026-11-20T17:03:29.600Z",
  dead: 3,
  keys: [key],
  version: 1,
  created_at: "2026-11-02T09:30:00.000Z",
  updated_at: "2026-11-02T09:30:00.000Z",
};

const route = {
  id: ROUTE_ID,
  destination_id: DESTINATION_ID,
  name: "spending",
  enabled: true,
  version: 1,
  filter: { types: ["transactions.changed"], environments: ["production"], history: false },
  match: { "added.amount": { $gt: 50 } },
  form: "event" as const,
  transform: null,
  created_at: "2026-11-02T09:31:00.000Z",
  updated_at: "2026-11-02T09:31:00.000Z",
};

const definition = { filter: route.filter, match: route.match, form: route.form };

const delivery = {
  id: DELIVERY_ID,
  destination_id: DESTINATION_ID,
  event_id: EVENT_ID,
  event_type: "transactions.changed",
  integration_id: EXAMPLES.integration.id,
  item_id: EXAMPLES.item.item_id,
  route_id: ROUTE_ID,
  route_version: 1,
  form: "event" as const,
  status: "dead" as const,
  due_at: null,
  attempts: 8,
  tries: 8,
  job_id: null,
  cause: "status_503",
  detail: null,
  last_status: 503,
  body_sha256: "3f1a5c7e9b2d4f60718293a4b5c6d7e8f9a0b1c2d3e4f5061728394a5b6c7d8e",
  created_at: "2026-11-20T17:03:29.520Z",
  finished_at: "2026-11-21T20:41:10.004Z",
};

const attempt = {
  number: 8,
  started_at: "2026-11-21T20:41:09.871Z",
  duration_ms: 133,
  url: destination.url,
  address: "203.0.113.80",
  status: 503,
  error: "status_503",
  response_headers: { "content-type": "text/plain" },
  response_head: "upstream is down",
  job_id: null,
};

const job = {
  id: JOB_ID,
  kind: "redrive" as const,
  status: "running" as const,
  destination_id: DESTINATION_ID,
  route_id: null,
  asked: { destination_id: DESTINATION_ID, cause: "status_503" },
  reason: "the ledger was down on Friday",
  total: 412,
  done: 150,
  changed: 150,
  created_at: "2026-11-23T08:00:00.000Z",
  updated_at: "2026-11-23T08:00:01.300Z",
  finished_at: null,
};

export const RELAY_EXAMPLES = {
  destination,
  newDestination: {
    name: destination.name,
    description: destination.description,
    url: destination.url,
    headers: { authorization: "Bearer your-own-token" },
    rate_limit: destination.rate_limit,
    ordering: destination.ordering,
  },
  destinationCreated: { ...destination, signing_secret: SIGNING_SECRET },
  destinationPatch: { concurrency: 16, rate_limit: null },
  destinationDeleted: { id: DESTINATION_ID, deleted: true as const },
  keyRotation: { grace_s: 86_400 },
  keyRotated: { ...key, id: "sgk_8wc5nt1zgx4lqh7vrj2sbf6m", signing_secret: SIGNING_SECRET },

  route,
  newRoute: { destination_id: DESTINATION_ID, name: route.name, ...definition },
  routePatch: { match: { "added.amount": { $gt: 100 } } },
  routeDeleted: { id: ROUTE_ID, deleted: true as const },
  previewRequest: { definition, since: "2026-11-20T00:00:00.000Z" },
  preview: {
    examined: 1290,
    matched: 412,
    failed: 0,
    truncated: false,
    samples: [
      {
        event_id: EVENT_ID,
        type: "transactions.changed",
        occurred_at: "2026-11-20T17:03:29.500Z",
        body: '{"id":"evt_0192f3a87d4c7a1e8c5b2f9d6e3a7b10","type":"transactions.changed","version":1,…',
        error: null,
      },
    ],
  },

  delivery,
  deliveryWhole: { ...delivery, log: [attempt] },
  deadLetters: {
    destination_id: DESTINATION_ID,
    destination_name: destination.name,
    cause: "status_503",
    count: 412,
    first_at: "2026-11-20T20:40:02.118Z",
    last_at: "2026-11-21T20:41:10.004Z",
    replayable: 410,
  },

  job,
  redrive: { destination_id: DESTINATION_ID, cause: "status_503", reason: job.reason },
  replay: {
    destination_id: DESTINATION_ID,
    item_id: EXAMPLES.item.item_id,
    from: "2026-11-20T00:00:00.000Z",
    reason: "the ledger lost a day",
    dry_run: true,
  },
  routePast: { from: "2026-11-01T00:00:00.000Z", reason: "a new receiver" },
  count: { count: 412 },

  eventId: EVENT_ID,
  eventCursor: "MDAwMDAwMDAwMDAwNDI6MDAwM2E1YjNj",
};
