/** What the file of a statement is named after. */
export const STATEMENT = `select coalesce(account_mask, '') as mask, year::int as year, month::int as month
from plaid.statements where integration_id = $1 and item_id = $2 and statement_id = $3 and removed_at is null`;
