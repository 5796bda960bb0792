/** The webhooks that Plaid says it sent in the last days, as users see them: when, how Plaid was answered, and whether they arrived. */
import type { Queryable } from "../database/types.ts";
import { fromKeyCursor, toKeyCursor } from "../model/cursors.ts";
import { toWebhookId } from "../model/ids.ts";
import { checkedFilter } from "../model/listing.ts";
import { listSentQuery, SENT_FILTERS } from "./sent-queries.ts";
import { SentFilter, type SentStatus } from "./sent.schema.ts";

export const SENT_OUTCOMES = ["open", "received", "recovered", "elsewhere", "not_needed"] as const;
export type SentOutcome = (typeof SENT_OUTCOMES)[number];

/** A webhook of Plaid's list; instants are ISO 8601, by Plaid's clock. */
export interface SentWebhook {
  /** Plaid's webhook_message_id */
  message_id: string;
  integration_id: string;
  webhook_type: string;
  webhook_code: string;
  item_id: string | null;
  subject: { kind: string; id: string } | null;
  sent_at: string;
  status: SentStatus;
  /** of the last attempt; null where there was no answer, or Plaid does not say */
  last_http_status: number | null;
  attempts: number;
  last_attempt_at: string | null;
  /** whether it was sent to the integration's intake */
  to_intake: boolean;
  outcome: SentOutcome;
  /** the webhook of the journal, `whk_…`; null where there is none */
  webhook_id: string | null;
  /** what happened, in one sentence */
  message: string;
}

type Row = Omit<SentWebhook, "subject" | "sent_at" | "last_attempt_at" | "message"> & {
  subject_kind: string | null;
  subject_id: string | null;
  sent_at: Date;
  last_attempt_at: Date | null;
  place: string;
};

/**
 * A page, the latest first.
 * @throws TartanError `invalid_request` for an unknown status, or a cursor that is not of this list
 */
export async function listSent(
  q: Queryable,
  filter: SentFilter,
): Promise<{ data: SentWebhook[]; next_cursor: string | null }> {
  const { limit, cursor, ...wanted } = checkedFilter(SentFilter, filter);
  const given = SENT_FILTERS.filter((name) => wanted[name] !== undefined);
  const behind = cursor === undefined ? [] : fromKeyCursor("sent", cursor);
  const values = [...given.map((name) => wanted[name]), ...behind, limit + 1];
  const { rows } = await q.query<Row>(listSentQuery(given, cursor !== undefined), values);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    data: rows.slice(0, limit).map(toSent),
    next_cursor: last ? toKeyCursor("sent", [last.place, last.integration_id, last.message_id]) : null,
  };
}

function toSent({ subject_kind: kind, subject_id: id, webhook_id, ...of }: Row): SentWebhook {
  const { place: _place, ...row } = of;
  const shown = {
    ...row,
    subject: kind === null || id === null ? null : { kind, id },
    sent_at: row.sent_at.toISOString(),
    last_attempt_at: row.last_attempt_at?.toISOString() ?? null,
    webhook_id: webhook_id === null ? null : toWebhookId(webhook_id),
  };
  return { ...shown, message: sentenceOf(shown) };
}

/** `Plaid got 503 from you at 2026-11-20T10:04:11Z and tries again.` */
function sentenceOf({
  status,
  outcome,
  last_http_status,
  last_attempt_at,
  to_intake,
}: Omit<SentWebhook, "message">): string {
  const at = last_attempt_at === null ? "" : ` at ${last_attempt_at.replace(/\.\d+Z$/, "Z")}`;
  const where = to_intake ? "you" : "another URL";
  const got = last_http_status === null ? `no answer from ${where}` : `${last_http_status} from ${where}`;
  if (status === "PENDING")
    return last_attempt_at === null ? "Plaid has not tried yet." : `Plaid got ${got}${at} and tries again.`;
  if (status === "FAILED") return `Plaid got ${got}${at} and gave up.${OUTCOMES[outcome]}`;
  return `Plaid delivered it${to_intake ? "" : " to another URL"}${at}.${OUTCOMES[outcome]}`;
}

const OUTCOMES: Readonly<Record<SentOutcome, string>> = {
  open: "",
  received: " The journal has it.",
  recovered: " It never arrived; Tartan journaled it from Plaid's list and synced it.",
  elsewhere: "",
  not_needed:
    " It never arrived, and nothing is missed: its item is not linked, has ended, or was linked or repaired since.",
};
