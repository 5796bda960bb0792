/** Forgets the mirrored rows of an item, or of an integration. */
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";

/** The mirror's tables that have the column $1. */
const TABLES_WITH = `
  select format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'plaid' and c.relkind in ('r', 'p')
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = $1)
  order by 1`;
const FORGET_STAGED = "delete from mirror.staged_pages where lease_token = any ($1::uuid[])";

const FORGET_UNFIT = "delete from mirror.unfit_values where integration_id = $1 and kind = 'item' and id = $2";
const PURGE_UNFIT = `delete from mirror.unfit_values where ctid = any (array(
  select ctid from mirror.unfit_values where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

const forgetIn = (table: string): string => `delete from ${table} where integration_id = $1 and item_id = $2`;
const purgeIn = (table: string): string => `delete from ${table} where ctid = any (array(
  select ctid from ${table} where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

async function tablesWith(q: Queryable, column: string): Promise<string[]> {
  const { rows } = await q.query<{ name: string }>(TABLES_WITH, [column]);
  return rows.map(({ name }) => name);
}

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  for (const table of await tablesWith(tx, "item_id")) await tx.query(forgetIn(table), [integrationId, itemId]);
  await tx.query(FORGET_UNFIT, [integrationId, itemId]);
}

/** In parts. */
export async function purgeIntegration(q: Queryable, id: string): Promise<void> {
  for (const table of await tablesWith(q, "integration_id")) await untilNone(q, purgeIn(table), [id]);
  await untilNone(q, PURGE_UNFIT, [id]);
}

/** Forgets the pages that were staged under any of the leases. */
export async function forgetStaged(q: Queryable, leaseTokens: readonly string[]): Promise<void> {
  if (leaseTokens.length > 0) await q.query(FORGET_STAGED, [leaseTokens]);
}
