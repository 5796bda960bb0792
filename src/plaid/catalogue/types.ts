/**
 * The shape of an entry of the catalogue of webhooks, and how a group of entries is written: all webhooks of a type, with what most of
 * them are about.
 */

/** Names a subject: the field of the body that holds its id, or the id of the one subject that an integration has. */
export type SubjectRule = { kind: string; field: string } | { kind: string; id: string };

/** What a webhook says of an item besides that data changed. */
export type ItemEffect =
  | "linked"
  | "updated"
  | "error"
  | "repaired"
  | "consent_expiring"
  | "disconnect_pending"
  | "permission_revoked"
  | "account_revoked"
  | "new_accounts"
  | "permissions_required"
  | "webhook_url_changed";

export interface KnownWebhook {
  /** `webhook_type` */
  type: string;
  /** `webhook_code` */
  code: string;
  sender: "PLAID" | "BACKEND" | "FROM_LISTENER" | "RECONCILER";
  /** what it may be about: the first whose id the body has is its subject; none: Tartan mirrors no such subject */
  about: readonly SubjectRule[];
  /** one sentence */
  meaning: string;
  effect: ItemEffect | null;
  /** Plaid replaced it by another, or no longer offers its product */
  deprecated: boolean;
  /** why no resource is read after it; null where one is */
  unread: string | null;
  /** codes under which Plaid has sent it as well */
  alsoSentAs: readonly string[];
}

export const ITEM: SubjectRule = { kind: "item", field: "item_id" };
export const USER: SubjectRule = { kind: "user", field: "user_id" };
export const INSTITUTION: SubjectRule = { kind: "institution", field: "institution_id" };
export const PROCESSOR_ACCOUNT: SubjectRule = { kind: "processor_account", field: "account_id" };

/** What differs from the type's other webhooks. */
type Entry = Pick<KnownWebhook, "meaning"> &
  Partial<Pick<KnownWebhook, "sender" | "about" | "effect" | "deprecated" | "unread" | "alsoSentAs">>;

/** The webhooks of a type, by code. */
export const webhooksOf = (
  type: string,
  about: readonly SubjectRule[],
  entries: Readonly<Record<string, Entry>>,
): KnownWebhook[] =>
  Object.entries(entries).map(([code, entry]) => ({
    type,
    code,
    sender: "PLAID",
    about,
    effect: null,
    deprecated: false,
    unread: null,
    alsoSentAs: [],
    ...entry,
  }));
