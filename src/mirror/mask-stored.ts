/**
 * Masks stored rows in place, a page of a table at a time in the order of its primary key, after a resource is no longer revealed. It
 * needs nothing of Plaid, so rows of items in error are masked too, and removed ones.
 *
 * A row that a run holds at the moment is not waited for, since the run might wait for a row of this page: the page is asked for
 * again. Only rows that are not masked yet are written; `changed_at` moves, so that a copy of changed rows gets the masked ones.
 */
import type { Queryable, Statement } from "../database/types.ts";
import { RESOURCES } from "../resources/index.ts";
import { isMasked, isMaskedAway, maskedRow } from "./masks.ts";
import { nameOf, primaryKey, statementName, tablesOf, type Mirrored } from "./rows.ts";
import { valueOf } from "./values.ts";

/** Small enough that no transaction is long. */
const ROWS_AT_ONCE = 500;

/** Where the masking of a resource continues. */
export interface MaskPosition {
  /** number of the table */
  table: number;
  /** primary key of the last row that is done; null: at the start of the table */
  after: readonly string[] | null;
}

/** $1 integration, $2… the key after which the page begins. */
function maskPage(of: Mirrored, isFirst: boolean): Statement {
  const { table } = of;
  const key = primaryKey(of);
  const list = (alias: string): string => key.map((column) => `${alias}.${column}`).join(", ");
  const same = (one: string, other: string): string =>
    key.map((column) => `${one}.${column} = ${other}.${column}`).join(" and ");
  const columns = table.columns.filter((column) => isMasked(table, false, column));
  const values = columns.map((column) =>
    isMaskedAway(table, false, column) ? `null::${column.type}` : valueOf(column, "m.e", true),
  );
  const behind = `(${list("t")}) > (${key.map((_, n) => `$${n + 2}`).join(", ")})`;
  return {
    name: statementName(of, isFirst ? "mask_first" : "mask_next"),
    text: `
with page as materialized (
  select ${list("t")}, t.raw is distinct from ${maskedRow(table, false, "t.raw")} as bare from ${nameOf(of)} t
  where t.integration_id = $1${isFirst ? "" : ` and ${behind}`} order by ${list("t")} limit ${ROWS_AT_ONCE}
), free as materialized (
  select ${list("t")} from ${nameOf(of)} t join page p on ${same("t", "p")}
  where t.integration_id = $1 and p.bare order by ${list("t")} for no key update of t skip locked
), written as (
  update ${nameOf(of)} t set (raw, ${["changed_at", ...columns.map(({ name }) => name)].join(", ")}) =
    (select m.e, ${["now()", ...values].join(", ")} from (select ${maskedRow(table, false, "t.raw")} as e offset 0) m)
  from free f where t.integration_id = $1 and ${same("t", "f")} returning 1
)
select (select array[${key.map((column) => `p.${column}::text`).join(", ")}] from page p order by ${key.map((column) => `p.${column} desc`).join(", ")} limit 1) as last,
  (select count(*) from page) = ${ROWS_AT_ONCE} as more,
  (select count(*) from page where bare) - (select count(*) from written) as held`,
  };
}

/**
 * Masks a page of a resource's stored rows.
 * @returns where to continue; the position itself where rows of the page are still held; null when all rows are masked
 */
export async function maskSome(
  tx: Queryable,
  integrationId: string,
  resource: string,
  position: MaskPosition = { table: 0, after: null },
): Promise<MaskPosition | null> {
  const masked = RESOURCES.filter(({ name }) => name === resource)
    .flatMap(tablesOf)
    .filter(({ table }) => table.sensitive !== undefined);
  const of = masked[position.table];
  if (!of) return null;
  const { after } = position;
  type Row = { last: string[] | null; more: boolean; held: string };
  const { rows } = await tx.query<Row>(maskPage(of, after === null), [integrationId, ...(after ?? [])]);
  const [page] = rows;
  if (page && Number(page.held) > 0) return position;
  return page?.more ? { ...position, after: page.last } : { table: position.table + 1, after: null };
}
