/** What a run's summary, `update_info`, says of a resource's rows. */
import type { Queryable } from "../database/types.ts";
import type { Resource } from "../resources/types.ts";
import { countIn } from "./apply.ts";
import { listRows } from "./queries.ts";
import { tablesOf } from "./rows.ts";
import type { Scope } from "./types.ts";

/**
 * The resource's fields of the summary, `update_info`, such as `{ plaid_accounts: [{ account_id, type, name }] }`, from the rows as
 * they are now; `rows` is how many the resource has of them. All of its statements are sent before it returns.
 */
export async function summaryOf(
  tx: Queryable,
  scope: Scope,
  resource: Resource,
  rows: Promise<number>,
): Promise<Record<string, unknown>> {
  const values = [scope.integrationId, scope.subjectId];
  const fields = tablesOf(resource).flatMap((of) =>
    Object.entries(of.table.summary ?? {}).map(async ([name, field]) => {
      if ("count" in field) return [name, resource.tables.length === 1 ? await rows : await countIn(tx, scope, of)];
      if ("list" in field) return [name, (await tx.query(listRows(of, field.list), values)).rows];
      return [name, (await tx.query(listRows(of, [field.value]), values)).rows[0]?.[field.value] ?? null];
    }),
  );
  return Object.fromEntries((await Promise.all(fields)) as [string, unknown][]);
}
