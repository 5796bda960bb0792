/**
 * What the `data` of each event holds. These shapes are looked at by people and their validators, never by the server: an
 * event leaves as the text that is stored. They are loose, since a field may be added without a new version.
 */
import { z } from "zod";
import { CHANGED_TABLES, type EventType, type FixedType } from "../../../events/event-types.ts";
import { anyObject, noTimestamp, timestamp, told } from "../../../model/schema.ts";

const count = (description: string) => told(z.number().int(), description);
const text = (description: string) => told(z.string(), description);
const noText = (description: string) => told(z.string().nullable(), description);
const noObject = (description: string) => told(z.record(z.string(), z.unknown()).nullable(), description);

const plaidItem = anyObject("Plaid's Item as /item/get has it, its `status` included.");
const noPlaidItem = noObject(
  "Plaid's Item as /item/get has it, its `status` included; null where Plaid was not asked.",
);
const runId = text("The sync run that found it; `GET /v1/items/:item_id/runs` lists it.");

const rows = (what: string) => told(z.array(z.record(z.string(), z.unknown())), what);
const changed = (noun: string) =>
  z.looseObject({
    run_id: runId,
    part: count("Number of this part, from 1."),
    parts: count("Parts of this run's change; each is an event of its own with at most 100 rows."),
    counts: told(
      z.looseObject({
        added: count("Rows that are new."),
        modified: count("Rows that changed."),
        removed: count("Rows that Plaid no longer has."),
      }),
      "Of the whole run, not of this part.",
    ),
    added: rows(`New ${noun}, as Plaid has them.`),
    modified: rows(`Changed ${noun}, as Plaid has them now.`),
    removed: rows(`Removed ${noun}, as they were last known.`),
  });

const syncError = told(
  z.looseObject({
    class: text("What becomes of it: whether it is tried again, or who must act."),
    error_type: text("Plaid's error_type, or what stands for it."),
    error_code: text("Plaid's error_code, or what stands for it."),
    message: text("One sentence."),
    next_step: noText("What to do about it, for people; null where it passes by itself.").optional(),
    resource: text("What was being read, such as transactions.").optional(),
    at: timestamp("When it happened."),
  }),
  "Why.",
);

const delivery = z.looseObject({
  delivery_id: text("The delivery, `dlv_…`."),
  destination_id: text("Where it goes, `dst_…`."),
  event_id: text("What it delivers, `evt_…`."),
  event_type: text("The type of that event."),
  attempts: count("Attempts so far."),
  cause: noText("Of the last failure, such as status_500 or timeout."),
  last_status: told(z.number().int().nullable(), "HTTP status of the last answer; null where there was none."),
});

const destinationId = text("The destination, `dst_…`.");

const webhookReceived = z.looseObject({
  webhook_id: text("Id in the journal, `whk_…`."),
  source: text("Who sent it: PLAID, BACKEND, FROM_LISTENER or RECONCILER."),
  webhook_type: noText("Plaid's webhook_type, such as TRANSACTIONS."),
  webhook_code: noText("Plaid's webhook_code, such as SYNC_UPDATES_AVAILABLE."),
  received_at: timestamp("When its last byte arrived."),
  webhook: told(z.unknown(), "The body, character for character as it came but for tokens; null where it is not JSON."),
  body_base64: noText("The body where it is not JSON, in base64; else null."),
  tokens_cut: told(
    z.boolean(),
    "Whether tokens (public_token, link_token …) were cut out of the body; each is replaced by the text [cut], and the signature does not hold over what is left.",
  ),
  verification: told(
    z
      .looseObject({
        jwt: text("Plaid's Plaid-Verification header."),
        key_id: noText("Plaid's key that signed it."),
        signed_at: noTimestamp("When Plaid signed it."),
        body_sha256: text("SHA-256 of the body as it came, in hexadecimal."),
      })
      .nullable(),
    "The proof that it is Plaid's, to be checked again by whoever likes; null for a backend's.",
  ),
});

const consentExpiring = z.looseObject({
  reason: told(z.enum(["PENDING_EXPIRATION", "PENDING_DISCONNECT"]), "Plaid's webhook_code that announced it."),
  consent_expiration_time: noTimestamp("When consent ends, where Plaid says so."),
  item: noPlaidItem,
});

const syncCompleted = z.looseObject({
  run_id: runId,
  outcome: text("How it ended, such as `synced`."),
  webhooks: count("Webhooks that it served."),
  update_info: anyObject("What it found: counts, totals, pages, duration."),
});

const syncFailed = z.looseObject({
  run_id: noText("The run; null in events of earlier versions whose run was not kept."),
  status: text("How the Item stands now, such as `retrying` or `needs_user`."),
  attempts: count("Failures in a row."),
  retry_at: noTimestamp("When it is tried again by itself; null where that waits for something."),
  error: syncError,
});

const destinationOpened = z.looseObject({
  destination_id: destinationId,
  failures: count("Failures in a row."),
  openings: count("How often it was opened since its last success."),
  hold_until: timestamp("Nothing is sent until then."),
  last_error: noText("Of the last failure."),
});

const overdue = z.looseObject({
  outbox: count("Rows of the outbox that nobody has dispatched."),
  deliveries: count("Deliveries that are due and were not attempted."),
  oldest_at: noTimestamp("Since when the oldest of them waits."),
});

const CHANGES = new Map<string, ReturnType<typeof changed>>(
  CHANGED_TABLES.map(({ type, event }) => [type, changed(event.rows)]),
);

const FIXED = {
  "webhook.received": webhookReceived,
  "item.linked": z.looseObject({
    created: told(z.boolean(), "False where the Item was known and its token replaced."),
  }),
  "item.updated": z.looseObject({
    changed: told(z.array(z.string()), "The top-level fields that differ from before."),
    item: plaidItem,
  }),
  "item.error": z.looseObject({ error: anyObject("Plaid's error object."), item: noPlaidItem }),
  "item.repaired": z.looseObject({ previous_error_code: noText("What ailed it before."), item: noPlaidItem }),
  "item.consent_expiring": consentExpiring,
  "item.removed": z.looseObject({
    reason: told(
      z.enum(["unlinked", "erased", "ended"]),
      "`unlinked` or `erased` here by you, or `ended`: Plaid no longer has it.",
    ),
    error_code: noText("Plaid's code, where it ended."),
  }),
  "sync.completed": syncCompleted,
  "sync.failed": syncFailed,
  "delivery.failing": delivery,
  "delivery.exhausted": delivery,
  "delivery.recovered": delivery,
  "destination.opened": destinationOpened,
  "destination.failing": z.looseObject({
    destination_id: destinationId,
    percent: told(z.number().int(), "How much of the time until it is disabled is over: 50, 70 or 90."),
    failing_since: timestamp("The first failure after the last success."),
    disables_at: timestamp("When it is disabled if nothing succeeds until then."),
  }),
  "destination.recovered": z.looseObject({
    destination_id: destinationId,
    failing_since: noTimestamp("The first failure after the success before this one."),
  }),
  "destination.disabled": z.looseObject({
    destination_id: destinationId,
    reason: text("`gone` (it answered 410), `asked_by_receiver`, `failing`, or `by_hand`."),
  }),
  "relay.overdue": overdue,
} as const satisfies Record<FixedType, z.ZodObject>;

/** What the data of a type holds. */
export const eventData = (type: EventType): z.ZodObject => CHANGES.get(type) ?? FIXED[type as FixedType];
