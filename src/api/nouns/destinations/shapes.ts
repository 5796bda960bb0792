/**
 * The shapes of /v1/destinations. Two of them hold a signing secret: it is handed out when it is made, and only then. Header
 * values are taken and never shown.
 */
import { z } from "zod";
import { RELAY_EXAMPLES } from "../relay-examples.ts";
import { asked, noTimestamp, page, timestamp, told } from "../../http/shapes.ts";

export const destinationId = told(z.string(), "Id of a destination, `dst_…`.");
export const askedDestination = asked(100, "Id of a destination, `dst_…`.");

const scheme = told(z.enum(["v1", "v1a"]), "`v1`: HMAC-SHA256, one secret for both sides; `v1a`: Ed25519.");
const signingSecret = told(
  z.string(),
  "What signs. For `v1` the receiver needs it too: `whsec_…`, as the Standard Webhooks libraries take it; for `v1a` the " +
    "receiver needs `public_key` alone. Nothing shows it again.",
);

const key = {
  id: told(z.string(), "Id of the key, `sgk_…`."),
  scheme,
  public_key: told(z.string().nullable(), "Of a `v1a` key, `whpk_…`: what the receiver verifies with."),
  created_at: timestamp("When it was made."),
  expires_at: noTimestamp("Signs no longer from then on; null until it is rotated."),
};

const url = told(
  z.string().min(1).max(2000),
  "Where it is posted to: https (http only if this server allows it), without credentials or a fragment. Addresses that are " +
    "private or otherwise not public are refused unless this server allows them.",
);
const name = told(z.string().max(200), "Yours to choose.");
const description = told(z.string().max(2000), "Yours to choose.");
const timeout = told(z.number().int(), "The whole exchange must be over by then, in milliseconds.");
const schedule = told(
  z.array(z.number().int()),
  "Seconds before each retry, each varied by up to a fifth. When they are used up, the delivery is a dead letter.",
);
const rateLimit = told(
  z
    .object({
      count: told(z.number().int(), "At most so many attempts…"),
      window_ms: told(z.number().int(), "…in any span of so many milliseconds."),
    })
    .nullable(),
  "Null: none.",
);
const concurrency = told(z.number().int(), "Attempts at once.");
const ordering = told(
  z.enum(["parallel", "per_item"]),
  "`parallel`, or `per_item`: an Item's events one after the other, so that a failing one holds those behind it.",
);
const disableAfter = told(z.number().int(), "Disabled after so many seconds of nothing but failures.");

export const Destination = z
  .object({
    id: destinationId,
    name,
    description,
    url: told(z.string(), "Where it is posted to."),
    header_names: told(z.array(z.string()), "Headers of your own that are sent; their values are sealed."),
    has_ca: told(z.boolean(), "Whether certificates of its own authority are trusted too."),
    timeout_ms: timeout,
    schedule,
    rate_limit: rateLimit,
    concurrency,
    ordering,
    disable_after_s: disableAfter,
    status: told(
      z.enum(["active", "paused", "disabled"]),
      "Unless active it is held: nothing is sent, nothing is lost.",
    ),
    disabled_reason: told(
      z.string().nullable(),
      "`gone` (it answered 410), `asked_by_receiver`, `failing`, or `by_hand`.",
    ),
    breaker: told(
      z.enum(["closed", "open", "half_open"]),
      "`open`: it fails so often that nothing is sent until hold_until; `half_open`: one attempt decides.",
    ),
    hold_until: noTimestamp("Nothing is sent until then."),
    failures: told(z.number().int(), "In a row."),
    failing_since: noTimestamp("The first failure after the last success."),
    last_success_at: noTimestamp("When it last answered 2xx."),
    last_failure_at: noTimestamp("When it last did not."),
    last_error: told(z.string().nullable(), "Cause of that, such as status_500 or timeout."),
    scheduled: told(z.number().int(), "Deliveries that wait; counted up to 10001."),
    oldest_due_at: noTimestamp("When the first of them is or was due."),
    dead: told(z.number().int(), "Deliveries that gave up; counted up to 10001."),
    keys: told(z.array(z.object(key)), "What signs, the newest first; more than one while a rotation lasts."),
    version: told(z.number().int(), "One more at each change."),
    created_at: timestamp("When it was created."),
    updated_at: timestamp("When it last changed."),
  })
  .meta({ id: "Destination", description: "Where events are sent.", examples: [RELAY_EXAMPLES.destination] });

export const DestinationCreated = z
  .object({ ...Destination.shape, signing_secret: signingSecret })
  .meta({ description: "The destination and its signing secret.", examples: [RELAY_EXAMPLES.destinationCreated] });

export const DestinationDeleted = z
  .object({ id: destinationId, deleted: z.literal(true) })
  .meta({ description: "What was done.", examples: [RELAY_EXAMPLES.destinationDeleted] });

export const KeyRotated = z
  .object({ ...key, signing_secret: signingSecret })
  .meta({ description: "The new key and its secret.", examples: [RELAY_EXAMPLES.keyRotated] });

const headers = told(
  z.record(z.string().max(200), z.string().max(4096)).nullable(),
  "Headers to send along, such as `Authorization`; at most 20. Sealed before they touch the disk, and never shown. Null: none.",
);
const wishes = {
  name: name.exactOptional(),
  description: description.exactOptional(),
  headers: headers.exactOptional(),
  ca: told(
    z.string().max(100_000).nullable(),
    "A certificate authority to trust besides the usual ones, as PEM.",
  ).exactOptional(),
  timeout_ms: told(z.number().int().min(1000).max(30_000), timeout.description ?? "").exactOptional(),
  schedule: told(
    z.array(z.number().int().min(1).max(604_800)).max(50),
    "Seconds before each retry; 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h when absent.",
  ).exactOptional(),
  rate_limit: told(
    z
      .strictObject({
        count: told(z.number().int().min(1).max(1_000_000), "At most so many attempts…"),
        window_ms: told(z.number().int().min(1000).max(60_000).default(1000), "…in any span of so many milliseconds."),
      })
      .nullable(),
    "Null: none.",
  ).exactOptional(),
  concurrency: told(z.number().int().min(1).max(256), "Attempts at once; 8 when absent.").exactOptional(),
  ordering: ordering.exactOptional(),
  disable_after_s: told(
    z.number().int().min(3600).max(31_536_000),
    "Disabled after so many seconds of nothing but failures; five days when absent.",
  ).exactOptional(),
};

export const NewDestination = z
  .strictObject({
    url,
    ...wishes,
    signing_scheme: told(scheme.default("v1"), "`v1` (HMAC-SHA256), which every library has, or `v1a` (Ed25519)."),
    signing_secret: asked(
      200,
      "Yours, if you have one already: `whsec_…` or `whsk_…`; a new one when absent.",
    ).exactOptional(),
  })
  .meta({ examples: [RELAY_EXAMPLES.newDestination] });

export const DestinationPatch = z
  .strictObject({ url: url.exactOptional(), ...wishes })
  .meta({ examples: [RELAY_EXAMPLES.destinationPatch] });

export const KeyRotation = z
  .strictObject({
    grace_s: told(
      z.number().int().min(0).max(604_800).default(86_400),
      "So many seconds longer the key before signs too; 0: it stops at once.",
    ),
    scheme: told(scheme, "The same as before when absent.").exactOptional(),
    secret: asked(200, "Yours, if you have one already; a new one when absent.").exactOptional(),
  })
  .meta({ examples: [RELAY_EXAMPLES.keyRotation] });

export const DestinationParams = z.object({ id: askedDestination });
export const DestinationsQuery = z.strictObject(page);
