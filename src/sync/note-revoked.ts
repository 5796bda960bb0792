/**
 * Notes what a user has withdrawn, in the commit of the run that learned of it, where the integration erases such data. It is noted as
 * Plaid's webhook says; an item is erased only once Plaid refuses it, an account once Plaid's own list of accounts lacks it.
 */
import type { Queryable } from "../database/types.ts";
import { erasedAccounts, noteRevocations, revisitRevocations } from "../integrations/revocations.ts";
import { EVERYTHING_AGAIN } from "../model/webhook.ts";
import type { Ending, Written } from "./ending.ts";
import { markDue } from "./marks.ts";

const PERMISSION = "USER_PERMISSION_REVOKED";
const ACCOUNT = "USER_ACCOUNT_REVOKED";
/** An id of Plaid's has 37 characters. */
const ID_MAX = 200;

/** Of $3 those that Plaid has now. */
const CURRENT = `select account_id as id from plaid.accounts
  where integration_id = $1 and item_id = $2 and account_id = any ($3::text[]) and removed_at is null`;

const isAnnounced = ({ served }: Pick<Ending, "served">): boolean =>
  served.some(({ type, code }) => type === "ITEM" && code === PERMISSION);

/** Whether Plaid no longer has the item because its user has withdrawn the permission. */
export const isWithdrawn = ({ decision, served }: Pick<Ending, "decision" | "served">): boolean =>
  decision.gone && (decision.error?.error_code === PERMISSION || isAnnounced({ served }));

export async function noteRevoked(tx: Queryable, ending: Ending, { applied }: Written): Promise<void> {
  const { claim, decision, erasesRevoked } = ending;
  if (!erasesRevoked || claim.kind !== "item") return;
  const item = { integrationId: claim.integrationId, itemId: claim.id };
  if (decision.gone) {
    if (isWithdrawn(ending)) await noteRevocations(tx, item, [null], claim.claimedAt);
    return;
  }
  // Plaid may still answer for a while, and refuse the item later with another error.
  const withdrawn = [...(isAnnounced(ending) ? [null] : []), ...withdrawnAccounts(ending)];
  await noteRevocations(tx, item, withdrawn, claim.claimedAt);
  if ([...applied.values()].some(({ changes }) => changes.added > 0)) await revisit(tx, item);
}

function withdrawnAccounts({ served, announcements }: Ending): string[] {
  const named = served
    .filter(({ type, code }) => type === "ITEM" && code === ACCOUNT)
    .map(({ id }) => announcements.get(id)?.["account_id"]);
  const ids = named.filter((id) => typeof id === "string" && id !== "" && id.length <= ID_MAX);
  return [...new Set(ids as string[])];
}

/** Rows of an account that was erased may have come late; one that is back has rows that no increment would bring again. */
async function revisit(tx: Queryable, item: { integrationId: string; itemId: string }): Promise<void> {
  const { integrationId, itemId } = item;
  const erased = await erasedAccounts(tx, item);
  if (erased.length === 0) return;
  const { rows } = await tx.query<{ id: string }>(CURRENT, [integrationId, itemId, erased]);
  const back = rows.map(({ id }) => id);
  await revisitRevocations(tx, item, { back, again: erased.filter((id) => !back.includes(id)) });
  if (back.length > 0) await markDue(tx, [{ integrationId, kind: "item", id: itemId, requested: [EVERYTHING_AGAIN] }]);
}
