/**
 * The schemas of the `data` of each event. They are for people and their validators; the server never uses them, since it sends
 * the stored text of an event. They are loose, since a field may be added without a new version.
 */
import { z } from "zod";
import { CHANGED_TABLES, type EventType, type FixedType } from "../../../events/event-types.ts";
import { NOTICE_ENDS, NOTICE_KINDS, PUBLIC_TOKEN_REASONS } from "../../../model/statuses.ts";
import { certainty } from "../items/shapes.ts";
import { ENDS } from "../../../sync/life.ts";
import { anyObject, noTimestamp, timestamp, described } from "../../../model/schema.ts";
import { webhooksExpired, webhooksResumed, webhooksStopped } from "./integration-shapes.ts";

const count = (description: string) => described(z.number().int(), description);
const text = (description: string) => described(z.string(), description);
const noText = (description: string) => described(z.string().nullable(), description);
const noObject = (description: string) => described(z.record(z.string(), z.unknown()).nullable(), description);

const plaidItem = anyObject("Plaid's Item as /item/get has it, its `status` included.");
const noPlaidItem = noObject(
  "Plaid's Item as /item/get has it, its `status` included; null where Plaid was not asked.",
);
const runId = text("The sync run that found it; `GET /v1/items/:item_id/runs` lists it.");

const rows = (what: string) => described(z.array(z.record(z.string(), z.unknown())), what);
const changed = (noun: string) =>
  z.looseObject({
    run_id: runId,
    part: count("Number of this part, from 1."),
    parts: count("Parts of this run's change; each is an event of its own with at most 100 rows."),
    counts: described(
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

const syncError = described(
  z.looseObject({
    class: text("What follows: whether Tartan tries again, or who must act."),
    error_type: text("Plaid's error_type, or Tartan's own."),
    error_code: text("Plaid's error_code, or Tartan's own."),
    message: text("One sentence."),
    next_step: noText("What to do about it, for people; null where it passes by itself.").optional(),
    resource: text("The resource of the failed request, such as transactions.").optional(),
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
  cause: noText("Cause of the last failure, such as status_500 or timeout."),
  last_status: described(z.number().int().nullable(), "HTTP status of the last answer; null where there was none."),
});

const destinationId = text("The destination, `dst_…`.");

const webhookReceived = z.looseObject({
  webhook_id: text("Id in the journal, `whk_…`."),
  source: text("Who sent it: PLAID, BACKEND, FROM_LISTENER or RECONCILER."),
  webhook_type: noText("Plaid's webhook_type, such as TRANSACTIONS."),
  webhook_code: noText("Plaid's webhook_code, such as SYNC_UPDATES_AVAILABLE."),
  received_at: timestamp("When its last byte arrived."),
  webhook: described(
    z.unknown(),
    "The body, character for character as it came, without tokens; null if it is not JSON.",
  ),
  body_base64: noText("The body in base64 if it is not JSON; else null."),
  tokens_cut: described(
    z.boolean(),
    "Whether tokens (public_token, link_token …) were cut out of the body. The text [cut] replaces each, so the signature does not match the rest.",
  ),
  verification: described(
    z
      .looseObject({
        jwt: text("Plaid's Plaid-Verification header."),
        key_id: noText("Plaid's key that signed it."),
        signed_at: noTimestamp("When Plaid signed it."),
        body_sha256: text("SHA-256 of the body as it came, in hexadecimal."),
      })
      .nullable(),
    "The proof that Plaid sent it, so that you can verify it again; null for a backend's.",
  ),
});

/** What people read; events of earlier versions have neither. */
const words = {
  message: text("What happened, in plain words.").optional(),
  next_step: noText("What to do, in plain words; null where it passes by itself.").optional(),
};

const consentExpiring = z.looseObject({
  reason: described(
    z.enum(["PENDING_EXPIRATION", "PENDING_DISCONNECT"]),
    "Plaid's webhook_code that announced it; PENDING_EXPIRATION too where no webhook came and /item/get has the time.",
  ),
  consent_expiration_time: noTimestamp("When consent ends; null if Plaid does not say."),
  disconnect_time: noTimestamp("When the institution disconnects the Item; null with PENDING_EXPIRATION."),
  ...words,
  item: noPlaidItem,
});

const publicToken = {
  public_token_id: text("The public token, `ptk_…`; `GET /v1/link/adoptions` lists it. The token itself is nowhere."),
  webhook_id: noText("The first webhook that brought it, `whk_…`."),
  link_session_id: noText("Plaid's id of the session of Link."),
};
const duplicate = z.looseObject({
  item_id: text("The other Item, which is linked too."),
  accounts: described(
    z.array(
      z.looseObject({
        account_id: text("The account of this Item."),
        other_account_id: text("The same account in the other Item."),
        certainty,
      }),
    ),
    "The accounts that both have.",
  ),
});

const replacement = z.looseObject({
  account_id: text("The account as it is called now."),
  old_account_id: text("Its id before, which is gone."),
  old_item_id: text("The Item that had it; this Item, where the id changed within it."),
  certainty,
});

const syncCompleted = z.looseObject({
  run_id: runId,
  outcome: text("How it ended, such as `synced`."),
  webhooks: count("Webhooks that it served."),
  update_info: anyObject("Its summary: counts, totals, pages, duration."),
});

const syncFailed = z.looseObject({
  run_id: noText("The run; null in events of earlier versions whose run was not kept."),
  status: text("The Item's status now, such as `retrying` or `needs_user`."),
  attempts: count("Failures in a row."),
  retry_at: noTimestamp("When Tartan tries again by itself; null if that waits for something."),
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
  outbox: count("Rows of the outbox that no relay has dispatched."),
  deliveries: count("Due deliveries without an attempt."),
  oldest_at: noTimestamp("Since when the oldest of them waits."),
});

const CHANGES = new Map<string, ReturnType<typeof changed>>(
  CHANGED_TABLES.map(({ type, event }) => [type, changed(event.rows)]),
);

const FIXED = {
  "webhook.received": webhookReceived,
  "item.linked": z.looseObject({
    created: described(z.boolean(), "False where the Item was known and its token replaced."),
  }),
  "link.adopted": z.looseObject({
    ...publicToken,
    created: described(z.boolean(), "False where the Item was known and its token replaced."),
  }),
  "link.adoption_failed": z.looseObject({
    ...publicToken,
    reason: described(
      z.enum(PUBLIC_TOKEN_REASONS),
      "`expired`: not exchanged within 30 minutes. `exchanged_elsewhere`: Plaid no longer knows it. `lost`: exchanged, and nobody has the " +
        "access token. `refused`: see error_code.",
    ),
    error_code: noText("Plaid's code, or Tartan's; null where Plaid was not asked."),
    message: noText("What happened, in plain words."),
    next_step: noText("What to do about it."),
  }),
  "item.updated": z.looseObject({
    changed: described(z.array(z.string()), "The top-level fields that differ from before."),
    item: plaidItem,
  }),
  "item.error": z.looseObject({ error: anyObject("Plaid's error object."), ...words, item: noPlaidItem }),
  "item.repaired": z.looseObject({ previous_error_code: noText("What ailed it before."), item: noPlaidItem }),
  "item.consent_expiring": consentExpiring,
  "item.new_accounts": z.looseObject({ ...words, item: noPlaidItem }),
  "item.account_revoked": z.looseObject({
    account_id: noText("The account, as the webhook names it."),
    ...words,
    item: noPlaidItem,
  }),
  "item.permissions_required": z.looseObject({
    product: text("The product that was not granted, such as `auth`."),
    ...words,
    item: noPlaidItem,
  }),
  "item.data_erased": z.looseObject({
    reason: described(
      z.enum(["permission_revoked", "account_revoked"]),
      "What the user withdrew: all of it, or one account.",
    ),
    account_id: noText("The account; null where it is the whole Item."),
  }),
  "item.duplicate_found": z.looseObject({
    duplicates: described(z.array(duplicate), "The other items, each with the accounts that both have."),
    next_step: text("What to do about it."),
  }),
  "accounts.replaced": z.looseObject({
    accounts: described(z.array(replacement), "Each account with the id by which it was known before."),
  }),
  "item.notice_cleared": z.looseObject({
    kind: described(z.enum(NOTICE_KINDS), "What no longer holds."),
    by: described(
      z.enum(NOTICE_ENDS),
      `Why it went. ${Object.entries(ENDS)
        .map(([end, sentence]) => `\`${end}\`: ${sentence}`)
        .join(" ")}`,
    ),
    product: noText("The product that it was about; null with other kinds."),
    account_id: noText("The account that it was about; null with other kinds."),
    since: timestamp("When it was first announced or noticed."),
    until: noTimestamp("When what it warned of was to happen; null where no time was known."),
    item: noPlaidItem,
  }),
  "item.removed": z.looseObject({
    reason: described(
      z.enum(["unlinked", "erased", "ended"]),
      "`unlinked` or `erased` here by you, or `ended`: Plaid no longer has it.",
    ),
    error_code: noText("Plaid's code, where it ended."),
    ...words,
  }),
  "subject.erased": z.looseObject({ reason: described(z.literal("erased"), "By you.") }),
  "integration.webhooks_stopped": webhooksStopped,
  "integration.webhooks_resumed": webhooksResumed,
  "integration.webhooks_expired": webhooksExpired,
  "sync.completed": syncCompleted,
  "sync.failed": syncFailed,
  "delivery.failing": delivery,
  "delivery.exhausted": delivery,
  "delivery.recovered": delivery,
  "destination.opened": destinationOpened,
  "destination.failing": z.looseObject({
    destination_id: destinationId,
    percent: described(z.number().int(), "Part of the time until it is disabled that has passed: 50, 70 or 90."),
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

/** The schema of the data of every event of changed rows, whichever the table. */
export const changedRows = changed("rows");

/** The schema of a type's data. */
export const eventData = (type: EventType): z.ZodObject => CHANGES.get(type) ?? FIXED[type as FixedType];
