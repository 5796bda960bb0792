/** Forgets the mirrored rows of an item or another subject, or of an integration. */
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import { resourcesOf } from "../resources/index.ts";
import { nameOf, own, tablesOf, type Mirrored } from "./rows.ts";
import type { Subject } from "./types.ts";

/** The mirror's tables. */
const TABLES = `
  select format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'plaid' and c.relkind in ('r', 'p')
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'integration_id')
  order by 1`;
const FORGET_STAGED = "delete from mirror.staged_pages where lease_token = any ($1::uuid[])";

const FORGET_UNFIT = "delete from mirror.unfit_values where integration_id = $1 and kind = $2 and id = $3";
const PURGE_UNFIT = `delete from mirror.unfit_values where ctid = any (array(
  select ctid from mirror.unfit_values where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

const forgetIn = (of: Mirrored): string => `delete from ${nameOf(of)} t where ${own(of, "t")}`;
const forgetAccountIn = (of: Mirrored): string => `
  with gone as (delete from ${nameOf(of)} t where ${own(of, "t")} and t.account_id = $3 returning removed_at)
  select count(*) filter (where removed_at is null)::int as count from gone`;
/**
 * Deletes the rows without an account, such as securities, that only rows of the account $3 in the resource's first table name, and
 * that rows of no other account have ever named there.
 */
const forgetNamedIn = (of: Mirrored, first: Mirrored): string => {
  const names = of.table.key.map((column) => `r.${column} = t.${column}`).join(" and ");
  const named = (account: string): string =>
    `exists (select from ${nameOf(first)} r where ${own(first, "r")} and r.account_id ${account} and ${names})`;
  return `
  with gone as (delete from ${nameOf(of)} t
    where ${own(of, "t")} and ${named("= $3")} and not ${named("is distinct from $3")} returning removed_at)
  select count(*) filter (where removed_at is null)::int as count from gone`;
};
/** Keys of rows. All go, since nothing says which are the withdrawn account's. */
const FORGET_EXAMPLES = `update mirror.unfit_values set example = null
  where integration_id = $1 and kind = 'item' and id = $2 and table_name = any ($3::text[]) and example is not null`;
const purgeIn = (table: string): string => `delete from ${table} where ctid = any (array(
  select ctid from ${table} where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

export const forgetItem = (tx: Queryable, integrationId: string, itemId: string): Promise<void> =>
  forgetSubject(tx, integrationId, { kind: "item", id: itemId });

/** Deletes a subject's rows from the tables of its kind. */
export async function forgetSubject(tx: Queryable, integrationId: string, { kind, id }: Subject): Promise<void> {
  for (const of of resourcesOf(kind).flatMap(tablesOf)) await tx.query(forgetIn(of), [integrationId, id]);
  await tx.query(FORGET_UNFIT, [integrationId, kind, id]);
}

/** Deletes an item's rows, except for the row that stands for the item itself. */
export async function forgetRowsOfItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  const tables = resourcesOf("item").flatMap(tablesOf);
  for (const of of tables.filter(({ table }) => table.key.length > 0))
    await tx.query(forgetIn(of), [integrationId, itemId]);
  await tx.query(FORGET_UNFIT, [integrationId, "item", itemId]);
}

const hasColumn = ({ table: { key, columns } }: Mirrored, column: string): boolean =>
  key.includes(column) || columns.some(({ name }) => name === column);

/** The item's tables whose rows belong to one account each. */
export const tablesOfAccounts = (): Mirrored[] =>
  resourcesOf("item")
    .flatMap(tablesOf)
    .filter((of) => hasColumn(of, "account_id"));

/** The item's tables whose rows belong to no account, with the one beside them whose rows do and name them. */
const tablesNamedByAccounts = (): { of: Mirrored; first: Mirrored }[] =>
  resourcesOf("item").flatMap((resource) => {
    const [first, ...others] = tablesOf(resource);
    if (!first || !hasColumn(first, "account_id")) return [];
    return others
      .filter((of) => !hasColumn(of, "account_id") && of.table.key.every((column) => hasColumn(first, column)))
      .map((of) => ({ of, first }));
  });

/** Deletes the rows of one account of an item, and what only they name. @returns by resource, how many of them Plaid had */
export async function forgetAccount(
  tx: Queryable,
  integrationId: string,
  itemId: string,
  accountId: string,
): Promise<Map<string, number>> {
  const current = new Map<string, number>();
  const forget = async ({ resource: { name } }: Mirrored, statement: string): Promise<void> => {
    const { rows } = await tx.query<{ count: number }>(statement, [integrationId, itemId, accountId]);
    current.set(name, (current.get(name) ?? 0) + (rows[0]?.count ?? 0));
  };
  const tables = tablesOfAccounts();
  // First, while rows of the account still name them.
  for (const { of, first } of tablesNamedByAccounts()) await forget(of, forgetNamedIn(of, first));
  for (const of of tables) await forget(of, forgetAccountIn(of));
  await tx.query(FORGET_EXAMPLES, [integrationId, itemId, tables.map(({ table }) => table.name)]);
  return current;
}

/** In parts. */
export async function purgeIntegration(q: Queryable, id: string): Promise<void> {
  const { rows } = await q.query<{ name: string }>(TABLES);
  for (const { name } of rows) await untilNone(q, purgeIn(name), [id]);
  await untilNone(q, PURGE_UNFIT, [id]);
}

/** Forgets the pages that were staged under any of the leases. */
export async function forgetStaged(q: Queryable, leaseTokens: readonly string[]): Promise<void> {
  if (leaseTokens.length > 0) await q.query(FORGET_STAGED, [leaseTokens]);
}
