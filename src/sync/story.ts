/** An item's state in plain words: what its status means, what is wrong, what to do, its notices, and how its institution is. Pure. */
import type { NoticeKind } from "../model/statuses.ts";
import { explain } from "../plaid/reasons.ts";
import { namedBy, NOTICES, STATES } from "./life.ts";
import type { Notice } from "./next-notices.ts";
import type { Status } from "./types.ts";

/** A notice as it may be shown; instants are ISO 8601. */
export interface ShownNotice {
  kind: NoticeKind;
  /** the product that it is about */
  product: string | null;
  /** the account that it is about */
  account_id: string | null;
  since: string;
  /** when what it warns of happens, or when it goes by itself; null: neither is known */
  until: string | null;
  /** what there is to know, in plain words */
  message: string;
  /** what to do */
  next_step: string;
}

/** A notice as a statement returns it, within JSON. */
export interface StoredNotice extends Pick<Notice, "kind" | "about" | "details"> {
  since: string;
  until: string | null;
}

export function showNotice({ since, until, ...stored }: StoredNotice, now = new Date()): ShownNotice {
  const notice = { ...stored, until: until === null ? null : new Date(until) };
  const { message, next_step } = wordsOf(notice, now);
  return {
    kind: notice.kind,
    ...namedBy(notice),
    since: new Date(since).toISOString(),
    until: notice.until?.toISOString() ?? null,
    message,
    next_step,
  };
}

/** A notice in plain words. */
export const wordsOf = (
  notice: Pick<Notice, "kind" | "about" | "until" | "details">,
  now: Date,
): { message: string; next_step: string } => {
  const { message, next_step } = NOTICES[notice.kind];
  return { message: message(notice, now), next_step };
};

/** What Plaid says of an institution. */
export interface InstitutionHealth {
  /** when Plaid was asked; null: not known */
  read_at: string | null;
  /** what does not work as it should, such as `item_logins`; empty: Plaid knows of no trouble */
  troubles: { of: string; status: string; since: string | null }[];
}

/** The mirrored status of an institution, as a statement returns it. */
export interface StoredHealth {
  /** Plaid's `status` of the institution */
  status: Readonly<Record<string, unknown>> | null;
  verified_at: string | null;
}

interface StatusAndError {
  status: Status;
  error_type: string | null;
  error_code: string | null;
  /** Plaid's `error_code_reason` */
  error_reason: string | null;
  institution: StoredHealth | null;
}

export interface Story {
  status_message: string;
  error_message: string | null;
  next_step: string | null;
  institution_health: InstitutionHealth | null;
}

export function storyOf({ status, error_type, error_code, error_reason, institution }: StatusAndError): Story {
  const { meaning, next_step } = STATES[status];
  const institution_health = institution?.status ? healthOf(institution) : null;
  const story = { status_message: meaning, institution_health };
  if (error_code === null) return { ...story, error_message: null, next_step };
  const reason = explain(error_type ?? "", error_code, error_reason);
  // Nobody asks Plaid about it any more, so its last error needs nothing.
  if (status === "unlinked") return { ...story, error_message: reason.message, next_step };
  const health = institution_health === null ? "" : ` ${describeHealth(institution_health)}`;
  return { ...story, error_message: reason.message + health, next_step: reason.next_step };
}

function healthOf({ status, verified_at }: StoredHealth): InstitutionHealth {
  const parts = Object.entries(status ?? {}).flatMap(([of, part]) => {
    if (typeof part !== "object" || part === null) return [];
    const { status: word, last_status_change: since } = part as Record<string, unknown>;
    return typeof word === "string" ? [{ of, status: word, since: typeof since === "string" ? since : null }] : [];
  });
  return {
    read_at: verified_at === null ? null : new Date(verified_at).toISOString(),
    troubles: parts.filter((part) => part.status !== "HEALTHY"),
  };
}

/** Such as `Plaid's status of the bank: item logins DOWN since 2026-11-20T09:00:00Z.` */
function describeHealth({ read_at, troubles }: InstitutionHealth): string {
  const asOf = read_at === null ? "" : ` (read ${read_at})`;
  if (troubles.length === 0) return `Plaid's status of the bank names no trouble${asOf}.`;
  const each = troubles.map(
    ({ of, status, since }) => `${of.replaceAll("_", " ")} ${status}${since === null ? "" : ` since ${since}`}`,
  );
  return `Plaid's status of the bank: ${each.join(", ")}${asOf}.`;
}
