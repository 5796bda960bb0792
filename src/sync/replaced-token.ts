/**
 * A token may be replaced while a run reads with it: by a rotation, or by your backend. Plaid then refuses the old one, which says
 * nothing about the item. The failed readings count as not made, and the next run, which is due at once, has the new token.
 */
import type { Database } from "../database/types.ts";
import { isReplaced } from "../integrations/tokens.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Claim, Failure, Outcome } from "./types.ts";

const REFUSED = "INVALID_ACCESS_TOKEN";

const NOT_MADE: Failure = {
  class: "limited",
  errorType: "",
  errorCode: "",
  message: "the access token was replaced meanwhile",
  retryInMs: 0,
};

/** @param accessToken the one that the run read with; undefined where it needed none */
export async function withoutReplaced(
  { database, vault }: { database: Database; vault: Vault },
  { integrationId, id: itemId }: Claim,
  accessToken: string | undefined,
  outcomes: readonly Outcome[],
): Promise<readonly Outcome[]> {
  const refused = outcomes.filter((each) => "failure" in each && each.failure.errorCode === REFUSED);
  if (accessToken === undefined || refused.length === 0) return outcomes;
  if (!(await isReplaced(database, vault, { integrationId, itemId, accessToken }))) return outcomes;
  return outcomes.map((each) => (refused.includes(each) ? { task: each.task, failure: NOT_MADE } : each));
}
