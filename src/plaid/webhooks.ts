/**
 * Finds the subject of a webhook. Plaid's bodies have a type, a code and an id; the type decides what the id names
 * (mostly an item, but 54 of 83 pairs name a user, a report, a payment … and no item). Plaid adds types and
 * codes at any time and has renamed one, so nothing here refuses a body: an unknown value is null, and the body is kept.
 */

export interface WebhookReading {
  /** `webhook_type`, such as TRANSACTIONS */
  type: string | null;
  /** `webhook_code`, such as SYNC_UPDATES_AVAILABLE */
  code: string | null;
  itemId: string | null;
  environment: string | null;
  /** what to bring up to date; null where Tartan mirrors no such subject */
  subject: { kind: string; id: string } | null;
}

interface SubjectRule {
  kind: string;
  /** the field that holds its id */
  field: string;
  /** the webhook types of this subject; absent: all that have the field */
  types?: ReadonlySet<string>;
  /** the codes of these types; absent: all */
  codes?: ReadonlySet<string>;
}

/** The first rule that matches gives the subject. */
const SUBJECTS: readonly SubjectRule[] = [
  { kind: "item", field: "item_id" },
  { kind: "institution", field: "institution_id", types: new Set(["DASHBOARD_CONFIGURED_ALERT", "ISSUES"]) },
  {
    kind: "institution",
    field: "institution_id",
    types: new Set(["PARTNER"]),
    codes: new Set(["END_CUSTOMER_OAUTH_STATUS_UPDATED"]),
  },
];

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
  return {
    type,
    code,
    itemId: storableText(fields["item_id"]),
    environment: storableText(fields["environment"]),
    subject: subjectOf(type, code, fields),
  };
}

function subjectOf(
  type: string | null,
  code: string | null,
  fields: Record<string, unknown>,
): WebhookReading["subject"] {
  for (const rule of SUBJECTS) {
    if (rule.types !== undefined && (type === null || !rule.types.has(type))) continue;
    if (rule.codes !== undefined && (code === null || !rule.codes.has(code))) continue;
    const id = storableText(fields[rule.field]);
    if (id !== null) return { kind: rule.kind, id };
  }
  return null;
}
