/** What the audit log records, and how its rows are chosen. */
import { z } from "zod";
import { page, type FilterOf } from "../model/listing.ts";
import { described, filledText, namedIntegration, text } from "../model/schema.ts";

/** The actions, each with what happened. A name never changes its meaning. */
export const ACTIONS = {
  "integration.created": "An integration was created.",
  "integration.changed": "Settings of an integration were changed; `details.fields` names them.",
  "integration.deleted": "An integration was deleted; `details.purge` says whether its rows went too.",
  "resources.revealed": "Sensitive fields of `details.resources` are mirrored unmasked from here on.",
  "resources.hidden": "Sensitive fields of `details.resources` are masked again.",
  "resources.enabled": "Tartan may request `details.resources`, which Plaid bills by request.",
  "resources.disabled": "Tartan no longer requests `details.resources`.",
  "webhook_secret.rotated": "The webhook secret of your backend was replaced.",
  "api_key.reset": "The administrator's API key was replaced.",
  "listener.created": "A listener was created; `target` is its id.",
  "listener.changed": "Settings of the listener `target` were changed; `details.fields` names them.",
  "listener.rotated": "The token of the listener `target` was replaced.",
  "listener.deleted": "The listener `target` was deleted.",
  "link_token.created":
    "A Link token was made for `details.user_id`; `target` is the item that it may change, in update mode.",
  "public_token.exchanged": "A request had a public token exchanged; `target` is the item that it linked.",
  "item.unlinked": "The token of the item `target` was deleted.",
  "item.erased": "Everything about the item `target` was deleted.",
  "item.data_erased":
    "The data of the item `target`, or of its account `details.account_id`, was deleted since the user has withdrawn it.",
  "item.token_rotated": "The access token of the item `target` was replaced at Plaid.",
  "statement.fetched":
    "The file of a statement of the item `target` was fetched from Plaid; `details.statement_id` names it.",
  "subject.erased": "Everything about the subject `target`, of the kind `details.kind`, was deleted.",
  "job.started": "A job about many items, `target`, was started: `details.kind` on `details.items` items.",
  "job.paused": "The job `target` was paused.",
  "job.resumed": "The job `target` goes on.",
  "job.paced": "The job `target` begins `details.per_minute` items in a minute from here on.",
  "job.cancelled": "The job `target` was ended before it was done.",
  "job.retried": "`details.items` failed items of the job `target` are tried again.",
  "reader.created": "A read-only login to the mirror was made; `target` is its database role.",
  "reader.rotated": "The password of a read-only login was replaced; `target` is its database role.",
} as const;

export type Action = keyof typeof ACTIONS;
const NAMES = Object.keys(ACTIONS) as [Action, ...Action[]];

export const AuditFilter = z.strictObject({
  integration_id: namedIntegration.optional(),
  action: described(z.enum(NAMES), "What happened.").optional(),
  actor: text(200, "Who did it.").optional(),
  target: text(
    255,
    "What was changed: the id of an Item, of another subject or of a listener, or the name of a database role.",
  ).optional(),
  ...page,
});
export type AuditFilter = Omit<FilterOf<typeof AuditFilter>, "action"> & { action?: string | undefined };

/** The field of a change that says why. */
export const reason = filledText(500, "Why, in your own words; the audit log keeps it.").optional();
