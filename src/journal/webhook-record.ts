/** A stored webhook as it may be shown: the columns that are read of it, and what is made of them. */
import type { Statement } from "../database/types.ts";
import { toWebhookId } from "../model/ids.ts";
import type { WebhookRecord } from "../model/records.ts";
import type { Source } from "../model/webhook.ts";
import { cutTokens } from "../model/cut-tokens.ts";

const SAME = `id, integration_id, source, item_id, user_id, webhook_type, webhook_code, subject_kind, subject_id, environment,
  received_at, body, key_id, signed_at, processed_at, update_info`;

/** What a record is made of, from the table or from a query that has STORED. */
export const RECORD = `${SAME}, encode(coalesce(body_sha256, sha256(body)), 'hex') as body_sha256`;
export const STORED = `${SAME}, body_sha256`;

export const GET_WEBHOOK: Statement = {
  name: "journal_get_webhook",
  text: `select ${RECORD} from journal.webhooks where id = $1`,
};

export interface RecordRow {
  id: string;
  integration_id: string;
  source: Source;
  item_id: string | null;
  user_id: string | null;
  webhook_type: string | null;
  webhook_code: string | null;
  subject_kind: string | null;
  subject_id: string | null;
  environment: string | null;
  received_at: Date;
  /** null: pruned */
  body: Buffer | null;
  key_id: string | null;
  signed_at: Date | null;
  body_sha256: string;
  processed_at: Date | null;
  update_info: Record<string, unknown> | null;
}

const NOTHING = Buffer.alloc(0);

export function toRecord({ body, key_id, signed_at, body_sha256, ...stored }: RecordRow): WebhookRecord {
  const { subject_kind: kind, subject_id: subjectId, ...row } = stored;
  const { bytes, cut } = cutTokens(body ?? NOTHING);
  return {
    ...row,
    subject: kind === null || subjectId === null ? null : { kind, id: subjectId },
    id: toWebhookId(row.id),
    received_at: row.received_at.toISOString(),
    webhook: parseObject(bytes),
    tokens_cut: cut,
    body_pruned: body === null,
    body_sha256,
    verification:
      key_id === null || signed_at === null ? null : { key_id, signed_at: signed_at.toISOString(), body_sha256 },
    processed_at: row.processed_at?.toISOString() ?? null,
  };
}

/** Plaid's bodies have fewer than 10 levels. Some thousands cannot be written as JSON: the stack is too short for them. */
const LEVELS_MAX = 200;

function parseObject(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) && isWithin(value, LEVELS_MAX)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

const isWithin = (value: unknown, levels: number): boolean =>
  typeof value !== "object" ||
  value === null ||
  (levels > 0 && Object.values(value).every((member) => isWithin(member, levels - 1)));
