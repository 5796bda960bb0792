/** What a webhook means: what the catalogue says of it, and which resources sync reads after it. */
import { CATALOGUE, knownWebhook, type ItemEffect, type KnownWebhook } from "../plaid/catalogue.ts";
import { resourcesOf } from "../resources/index.ts";
import type { Subject } from "../model/webhook.ts";
import { touchedBy } from "./plan.ts";

/** Where users see what a webhook says of an item. */
const EFFECTS: Readonly<Record<ItemEffect, string>> = {
  linked: "The item is linked: event `item.linked`.",
  updated:
    "What changed is in `item.updated`, and `item.repaired` where the item had an error. Where the item is well, its notices go: `item.notice_cleared`.",
  error: "`status`, `error_code` and `next_step` of the item say what is wrong and what to do: event `item.error`.",
  repaired:
    "The item has no error any more: event `item.repaired`. Notices that it will be disconnected go: `item.notice_cleared`.",
  consent_expiring:
    "Notice `consent_expiring`, event `item.consent_expiring`; `consent_expiration_time` in `plaid.items` has the time too.",
  disconnect_pending: "Notice `disconnect_pending`, event `item.consent_expiring` with `disconnect_time`.",
  permission_revoked: "The item's `status` is `ended` and its rows are removed: event `item.removed`.",
  account_revoked: "Notice `account_revoked`, event `item.account_revoked`; the account's rows are removed.",
  new_accounts: "Notice `new_accounts`, event `item.new_accounts`.",
  permissions_required: "Notice `permissions_required`, event `item.permissions_required`, with the product.",
  webhook_url_changed: "`webhook_url` of the item is the new one: event `item.updated`.",
};

/** What Tartan knows of a webhook's type and code. */
export interface WebhookMeaning {
  /** the catalogue has the type and code */
  known: boolean;
  /** one sentence */
  meaning: string | null;
  /** the names of the resources that are read after it, where the subject has their products */
  resources: string[];
  /** why none is; null where one is, or where the catalogue lacks it */
  unread: string | null;
  /** where to see what it says of an item */
  effect: string | null;
  deprecated: boolean;
}

/** What a stored webhook means: its resources are those of its own subject. */
export function meaningOf(webhook: {
  webhook_type: string | null;
  webhook_code: string | null;
  subject: Subject | null;
}): WebhookMeaning {
  const { webhook_type: type, webhook_code: code, subject } = webhook;
  const resources = subject === null ? [] : namesOf(subject.kind, type, code);
  const known = knownWebhook(type, code);
  if (known === undefined)
    return { known: false, meaning: null, resources, unread: null, effect: null, deprecated: false };
  const texts = textsOf(known);
  const unread = resources.length > 0 ? null : (texts.unread ?? unnamed(known));
  return { known: true, resources, ...texts, unread };
}

/** Why nothing is read although the catalogue does not say so. */
function unnamed({ type, code, about }: KnownWebhook): string {
  const kinds = about.map(({ kind }) => kind).filter((kind) => namesOf(kind, type, code).length > 0);
  return `Its body does not name the ${kinds.join(" or ")} that Tartan reads after such a webhook.`;
}

const namesOf = (kind: string, type: string | null, code: string | null): string[] =>
  touchedBy(resourcesOf(kind), type, code).map(({ name }) => name);

const textsOf = ({ meaning, unread, effect, deprecated }: KnownWebhook) => ({
  meaning,
  unread,
  effect: effect === null ? null : EFFECTS[effect],
  deprecated,
});

/** A webhook of the catalogue, as it is listed. */
export interface ListedWebhook extends Omit<WebhookMeaning, "known" | "meaning"> {
  type: string;
  code: string;
  sender: KnownWebhook["sender"];
  meaning: string;
  /** kinds of what it may be about; none where Tartan mirrors no such subject */
  subjects: string[];
  /** other codes under which Plaid has sent it */
  also_sent_as: string[];
}

/** The whole catalogue. */
export function listKnownWebhooks(): ListedWebhook[] {
  return CATALOGUE.map((known) => {
    const { type, code, sender, about, alsoSentAs } = known;
    const subjects = about.map(({ kind }) => kind);
    const resources = subjects.flatMap((kind) => namesOf(kind, type, code));
    return { type, code, sender, subjects, resources, also_sent_as: [...alsoSentAs], ...textsOf(known) };
  });
}
