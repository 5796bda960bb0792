/**
 * Finds the subject of a webhook. Plaid's bodies have a type, a code and an id; the catalogue says what the id of each pair names
 * (mostly an item, but more than half of the pairs name a user, a report, a payment … and no item). Plaid adds types and
 * codes at any time and has renamed one, so nothing here refuses a body: an unknown value is null, and the body is kept.
 */
import { subjectRules } from "./catalogue.ts";

export interface WebhookReading {
  /** `webhook_type`, such as TRANSACTIONS */
  type: string | null;
  /** `webhook_code`, such as SYNC_UPDATES_AVAILABLE */
  code: string | null;
  itemId: string | null;
  environment: string | null;
  /** what it is about; null where the body names nothing of a kind that Tartan knows */
  subject: { kind: string; id: string } | null;
}

const ITEM_ID = "item_id";

/** The longest text that is read from a field: longer than any id or token of Plaid's, and shorter than the limit of an index. */
export const FIELD_MAX = 255;
const PLAIN = new RegExp(`^[\\x20-\\x7e]{1,${FIELD_MAX}}$`);
/** Neither control characters nor halves of surrogate pairs: Postgres text cannot hold them all. */
const STORABLE = new RegExp(`^[^\\p{C}]{1,${FIELD_MAX}}$`, "u");

/** `value` if it is text that a column and an index can hold, else null. */
export function storableText(value: unknown): string | null {
  return typeof value === "string" && (PLAIN.test(value) || STORABLE.test(value)) ? value : null;
}

/** The body as a JSON object, or null if it is none. */
export function parseBody(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const NOTHING: WebhookReading = { type: null, code: null, itemId: null, environment: null, subject: null };

/** Reads a webhook's body. Never throws: fields that are missing, of another type or too long are null. */
export function readWebhook(body: Buffer): WebhookReading {
  const fields = parseBody(body);
  return fields === null ? NOTHING : readFields(fields);
}

/** Reads a parsed webhook body. */
export function readFields(fields: Record<string, unknown>): WebhookReading {
  const type = storableText(fields["webhook_type"]);
  const code = storableText(fields["webhook_code"]);
  const itemId = storableText(fields[ITEM_ID]);
  return {
    type,
    code,
    itemId,
    environment: storableText(fields["environment"]),
    subject: subjectOf(type, code, itemId, fields),
  };
}

/** The first subject whose id the body has; a body that names none of them, but an item, is about that. */
function subjectOf(
  type: string | null,
  code: string | null,
  itemId: string | null,
  fields: Record<string, unknown>,
): WebhookReading["subject"] {
  for (const rule of subjectRules(type, code)) {
    const id = "id" in rule ? rule.id : rule.field === ITEM_ID ? itemId : storableText(fields[rule.field]);
    if (id !== null) return { kind: rule.kind, id };
  }
  return itemId === null ? null : { kind: "item", id: itemId };
}
