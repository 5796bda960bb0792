/**
 * The schemas of the answers of /v1/destinations. Two of them hold a signing secret, which is shown only when it is made. No answer
 * holds the value of a header.
 */
import { z } from "zod";
import { destinationId, noTimestamp, timestamp, described } from "../../../model/schema.ts";
import { BREAKER_STATES, DESTINATION_STATUSES } from "../../../model/statuses.ts";
import { NewDestination, ordering, signingScheme } from "../../../relay/destinations/destination.schema.ts";
import { DESTINATION_ID } from "../../../model/examples.ts";

const SECRET = "whsec_ZXhhbXBsZS1rZWVwLWl0LWJlc2lkZS15b3VyLW90aGVycw==";

const keyExample = {
  id: "sgk_5jn8pq3txv7rcb2ymk9wfd4g",
  scheme: "v1" as const,
  public_key: null,
  created_at: "2026-11-02T09:30:00.000Z",
  expires_at: null,
};

export const destinationExample = {
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
  keys: [keyExample],
  version: 1,
  created_at: "2026-11-02T09:30:00.000Z",
  updated_at: "2026-11-02T09:30:00.000Z",
};

const signingSecret = described(
  z.string(),
  "What signs. For `v1` the receiver needs it too: `whsec_…`, as the Standard Webhooks libraries take it; for `v1a` the " +
    "receiver needs `public_key` alone. Nothing shows it again.",
);

const key = {
  id: described(z.string(), "Id of the key, `sgk_…`."),
  scheme: signingScheme,
  public_key: described(
    z.string().nullable(),
    "The public key of a `v1a` key, `whpk_…`: the receiver verifies with it.",
  ),
  created_at: timestamp("When it was made."),
  expires_at: noTimestamp("From then on it does not sign; null until it is rotated."),
};

const rateLimit = described(
  z
    .object({
      count: described(z.number().int(), "At most so many attempts…"),
      window_ms: described(z.number().int(), "…in any span of so many milliseconds."),
    })
    .nullable(),
  "Null: none.",
);

export const Destination = z
  .object({
    id: destinationId,
    name: NewDestination.shape.name.unwrap(),
    description: NewDestination.shape.description.unwrap(),
    url: described(z.string(), "Where it is posted to."),
    header_names: described(z.array(z.string()), "Names of your own headers; their values are sealed."),
    has_ca: described(z.boolean(), "Whether it has a certificate authority of its own."),
    timeout_ms: described(z.number().int(), "Milliseconds for the whole exchange."),
    schedule: described(
      z.array(z.number().int()),
      "Seconds before each retry, each varied by up to a fifth. When they are used up, the delivery is a dead letter.",
    ),
    rate_limit: rateLimit,
    concurrency: described(z.number().int(), "Attempts at once."),
    ordering,
    disable_after_s: described(z.number().int(), "Disabled after so many seconds of nothing but failures."),
    status: described(z.enum(DESTINATION_STATUSES), "Unless active it is held: nothing is sent, nothing is lost."),
    disabled_reason: described(
      z.string().nullable(),
      "`gone` (it answered 410), `asked_by_receiver`, `failing`, or `by_hand`.",
    ),
    breaker: described(
      z.enum(BREAKER_STATES),
      "`open`: it fails so often that nothing is sent until hold_until; `half_open`: one attempt decides.",
    ),
    hold_until: noTimestamp("Nothing is sent until then."),
    failures: described(z.number().int(), "In a row."),
    failing_since: noTimestamp("The first failure after the last success."),
    last_success_at: noTimestamp("When it last answered 2xx."),
    last_failure_at: noTimestamp("When it last did not."),
    last_error: described(z.string().nullable(), "Cause of that, such as status_500 or timeout."),
    scheduled: described(z.number().int(), "Deliveries that wait; counted up to 10001."),
    oldest_due_at: noTimestamp("When the first of them is or was due."),
    dead: described(z.number().int(), "Deliveries that gave up; counted up to 10001."),
    keys: described(z.array(z.object(key)), "What signs, the newest first; more than one while a rotation lasts."),
    version: described(z.number().int(), "One more at each change."),
    created_at: timestamp("When it was created."),
    updated_at: timestamp("When it last changed."),
  })
  .meta({ id: "Destination", description: "Where events are sent.", examples: [destinationExample] });

export const DestinationCreated = z.object({ ...Destination.shape, signing_secret: signingSecret }).meta({
  description: "The destination and its signing secret.",
  examples: [{ ...destinationExample, signing_secret: SECRET }],
});

export const DestinationDeleted = z
  .object({ id: destinationId, deleted: z.literal(true) })
  .meta({ description: "What was done.", examples: [{ id: DESTINATION_ID, deleted: true }] });

export const KeyRotated = z.object({ ...key, signing_secret: signingSecret }).meta({
  description: "The new key and its secret.",
  examples: [{ ...keyExample, id: "sgk_8wc5nt1zgx4lqh7vrj2sbf6m", signing_secret: SECRET }],
});
