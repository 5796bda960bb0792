/**
 * Gaps as users see them: what Plaid did not tell, how Tartan found it, and when and how it was healed. A gap is a webhook of source
 * RECONCILER in the journal: one that a check or a reading recorded (ITEM/GAP_FOUND), one of Plaid's that its list of sent webhooks
 * has and that never arrived, or the end of a session of Link that none announced (LINK/SESSION_FINISHED).
 */
import type { Queryable } from "../database/types.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { toWebhookId } from "../model/ids.ts";
import { checkedFilter } from "../model/listing.ts";
import { parseBody } from "../plaid/webhooks.ts";
import { listGapsQuery } from "./gap-queries.ts";
import { GapFilter } from "./gap.schema.ts";

/**
 * How a gap was found: by a check (/item/get), by a reading whose rows had changed without a webhook, by a full check that compared all
 * rows, in Plaid's list of the webhooks that it sent, or because Plaid was asked about the Link token of a session.
 */
export const FOUND_BY = ["check", "reading", "full_check", "sent_webhooks", "link_token"] as const;
export type FoundBy = (typeof FOUND_BY)[number];

/** A webhook that Plaid sent and that did not arrive. */
export interface MissedWebhook {
  /** null where Plaid named the code alone */
  webhook_type: string | null;
  webhook_code: string;
  /** ISO 8601, by Plaid's clock; null where Tartan does not know it any more */
  sent_at: string | null;
}

/** A gap as it may be shown; instants are ISO 8601. */
export interface GapRecord {
  /** of the webhook that recorded it, `whk_…` */
  id: string;
  integration_id: string;
  item_id: string | null;
  user_id: string | null;
  subject: { kind: string; id: string } | null;
  found_at: string;
  found_by: FoundBy;
  missed_webhook: MissedWebhook | null;
  /** fields of the item that differed from the mirror's */
  differing_fields: string[];
  /** with which Plaid refused the item */
  error: Record<string, unknown> | null;
  /** resources whose rows had changed */
  changed_resources: string[];
  /** the first rows that a full check found wrong, and their columns */
  wrong_rows: WrongRow[];
  /** when the run ended after which the mirror was equal to Plaid again; null while it waits or fails */
  healed_at: string | null;
  /** of that run */
  outcome: string | null;
  /** rows that it changed, by table */
  counts: Record<string, { added: number; modified: number; removed: number }>;
}

export interface WrongRow {
  table: string;
  key: string;
  difference: string;
  columns: string[];
}

interface Row {
  id: string;
  integration_id: string;
  item_id: string | null;
  user_id: string | null;
  subject_kind: string | null;
  subject_id: string | null;
  webhook_type: string | null;
  webhook_code: string | null;
  received_at: Date;
  body: Buffer | null;
  processed_at: Date | null;
  /** by Plaid's list of sent webhooks */
  sent_at: Date | null;
  update_info: { outcome?: string; counts?: GapRecord["counts"] } | null;
}

/**
 * A page of gaps, newest first.
 * @throws TartanError `invalid_request` for a filter or a cursor that is not of this list
 */
export async function listGaps(
  q: Queryable,
  filter: GapFilter,
): Promise<{ data: GapRecord[]; next_cursor: string | null }> {
  const { integration_id, item_id, limit, cursor } = checkedFilter(GapFilter, filter);
  const before = cursor === undefined ? undefined : fromCursor("gaps", cursor);
  const shape = { integration: integration_id !== undefined, item: item_id !== undefined, paged: before !== undefined };
  const values = [integration_id, item_id, before].filter((value) => value !== undefined);
  const { rows } = await q.query<Row>(listGapsQuery(shape), [...values, limit + 1]);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return { data: rows.slice(0, limit).map(toGap), next_cursor: last ? toCursor("gaps", last.id) : null };
}

/** The webhook with which checks and readings record what they found. */
const OWN = "GAP_FOUND";

function toGap({ body, received_at, processed_at, update_info, sent_at, ...row }: Row): GapRecord {
  const { subject_kind: kind, subject_id: subjectId, webhook_type, webhook_code, ...head } = row;
  const what = webhook_code === OWN ? found(body) : sent(webhook_type, webhook_code, sent_at, body);
  return {
    ...head,
    id: toWebhookId(row.id),
    subject: kind === null || subjectId === null ? null : { kind, id: subjectId },
    found_at: received_at.toISOString(),
    ...what,
    healed_at: isOver(update_info?.outcome) ? null : (processed_at?.toISOString() ?? null),
    outcome: update_info?.outcome ?? null,
    counts: update_info?.counts ?? {},
  };
}

/** What the gap was about was unlinked or erased, so that no run closed it and none will. */
const isOver = (outcome: string | undefined): boolean => outcome === "item_unknown" || outcome === "subject_unknown";

type What = Pick<
  GapRecord,
  "found_by" | "missed_webhook" | "differing_fields" | "error" | "changed_resources" | "wrong_rows"
>;

/** What Tartan wrote into the body when it found the gap; empty where the body was deleted since. */
function found(body: Buffer | null): What {
  const { gap } = ((body && parseBody(body)) ?? {}) as { gap?: Record<string, unknown> };
  const missed = gap?.["missed_webhook"] as { code_sent: string; sent_at: string } | null | undefined;
  const changed = textsIn(gap?.["changed_resources"]);
  const wrong = (gap?.["wrong_rows"] as WrongRow[] | undefined) ?? [];
  return {
    found_by: wrong.length > 0 ? "full_check" : changed.length > 0 ? "reading" : "check",
    missed_webhook: missed ? { webhook_type: null, webhook_code: missed.code_sent, sent_at: missed.sent_at } : null,
    differing_fields: textsIn(gap?.["differing_fields"]),
    error: (gap?.["error"] as Record<string, unknown> | null | undefined) ?? null,
    changed_resources: changed,
    wrong_rows: wrong,
  };
}

/** The webhook is Plaid's own, as its list has it, or as linking wrote it. */
const sent = (
  webhook_type: string | null,
  webhook_code: string | null,
  at: Date | null,
  body: Buffer | null,
): What => ({
  found_by: (body && parseBody(body))?.["found_by"] === "link_token" ? "link_token" : "sent_webhooks",
  missed_webhook: { webhook_type, webhook_code: webhook_code ?? "", sent_at: at?.toISOString() ?? null },
  differing_fields: [],
  error: null,
  changed_resources: [],
  wrong_rows: [],
});

const textsIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : [];
