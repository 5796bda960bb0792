/**
 * The audit log: who changed what, when and why. A row is written in the transaction of its change, so that neither is without the
 * other; triggers refuse to change or delete it. It holds names and lists of what changed, never a secret or a token.
 */
import type { Queryable, Statement } from "../database/types.ts";
import type { Change } from "../model/change.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { newUuid } from "../model/ids.ts";
import { checkedFilter } from "../model/listing.ts";
import { AuditFilter, type Action } from "./audit.schema.ts";

const INSERT: Statement = {
  name: "audit_insert",
  text: `insert into tartan.audit_log (id, actor, action, integration_id, target, reason, details)
values ($1, $2, $3, $4, $5, $6, $7)`,
};

const LIST: Statement = {
  name: "audit_list",
  text: `select id, at, actor, action, integration_id, target, reason, details from tartan.audit_log
where ($1::text is null or integration_id = $1) and ($2::text is null or action = $2) and ($3::text is null or actor = $3)
  and ($4::text is null or target = $4) and ($5::uuid is null or id < $5) order by id desc limit $6`,
};

const TRIM = "select tartan.trim_audit_log($1, $2) as gone";

/** Small enough that no transaction is long. */
const ROWS_AT_ONCE = 5000;

export interface Audited {
  action: Action;
  integrationId?: string | undefined;
  /** the id or name of what was changed, where it is not the integration itself, such as an item's id */
  target?: string | undefined;
  details?: Readonly<Record<string, unknown>>;
}

/** Records a change in its transaction. */
export async function audit(
  tx: Queryable,
  { actor, reason }: Change,
  { action, integrationId, target, details = {} }: Audited,
): Promise<void> {
  const values = [action, integrationId ?? null, target ?? null, reason ?? null, JSON.stringify(details)];
  await tx.query(INSERT, [newUuid(), actor, ...values]);
}

/** A row of the audit log; instants are ISO 8601. */
export interface AuditRecord {
  id: string;
  at: string;
  actor: string;
  action: string;
  integration_id: string | null;
  target: string | null;
  reason: string | null;
  details: Record<string, unknown>;
}

/**
 * A page of the audit log, newest first.
 * @throws TartanError `invalid_request` for an unknown action, or a cursor that is not of this list
 */
export async function listAudit(
  q: Queryable,
  filter: AuditFilter,
): Promise<{ data: AuditRecord[]; next_cursor: string | null }> {
  const { integration_id, action, actor, target, limit: size, cursor } = checkedFilter(AuditFilter, filter);
  const before = cursor === undefined ? null : fromCursor("audit", cursor);
  const matching = [integration_id ?? null, action ?? null, actor ?? null, target ?? null];
  type Row = Omit<AuditRecord, "at"> & { at: Date };
  const { rows } = await q.query<Row>(LIST, [...matching, before, size + 1]);
  const data = rows.slice(0, size).map((row) => ({ ...row, at: row.at.toISOString() }));
  const last = rows.length > size ? data.at(-1) : undefined;
  return { data, next_cursor: last ? toCursor("audit", last.id) : null };
}

/** Deletes rows that are older than `days` days, by the database's clock. @returns how many */
export async function trimAudit(q: Queryable, days: number, signal?: AbortSignal): Promise<number> {
  let gone = 0;
  for (;;) {
    const { rows } = await q.query<{ gone: number }>(TRIM, [days, ROWS_AT_ONCE]);
    const now = rows[0]?.gone ?? 0;
    gone += now;
    if (now < ROWS_AT_ONCE || signal?.aborted) return gone;
  }
}
