/** A statement that the mirror lists, without a run of sync. */
import type { World } from "./world/index.ts";

/** Lists the newest statement of an item's first account, as Plaid has it. @returns its id */
export async function mirroredStatement(
  { database, simulator, integration }: World<"integration">,
  itemId: string,
  integrationId = integration.id,
): Promise<string> {
  const { accounts } = simulator.control.truth(itemId, "statements") as {
    accounts: { account_mask: string; statements: { statement_id: string; year: number; month: number }[] }[];
  };
  const [{ account_mask, statements: [one] } = { account_mask: "", statements: [] }] = accounts;
  if (!one) throw new Error("the item has no statement");
  await database.query(
    `insert into plaid.statements (integration_id, item_id, statement_id, year, month, account_mask, raw)
     values ($1, $2, $3, $4, $5, $6, '{}')`,
    [integrationId, itemId, one.statement_id, one.year, one.month, account_mask],
  );
  return one.statement_id;
}
