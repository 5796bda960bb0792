/**
 * Replaces the access token of an item at Plaid (/item/access_token/invalidate). Plaid ends the old token at once and shows the new one
 * in one answer, never again: a token that is lost then is lost for good. So everything that can fail is tried before Plaid is asked.
 *
 *   the rotation is noted (a commit, which proves the database) ─▶ a file is opened ─▶ the item's row is locked ─▶ Plaid is asked
 *     ─▶ the new token is sealed, and the seal is in the file (fsync) ─▶ it is in the row (commit) ─▶ the file is deleted
 *
 * A commit that fails is repeated on other connections for a minute. If even that fails, or the process dies, the file stays, and
 * a server with this data directory takes it in within a minute, as does the next rotation of the item (rescued-tokens.ts). What cannot
 * be recovered is an answer of Plaid's that never arrived, or that arrived and was not in the file yet.
 */
import type { Clock } from "../clock.ts";
import { isPassing } from "../database/failures.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { newUuid } from "../model/ids.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { FORGET_ROTATION, NOTE_ROTATION } from "./queries.ts";
import { holdFormer, holdRotation, replaceToken, type Replacement, type Rotation } from "./replace-token.ts";
import { openRescue, takeInTokens, type Rescue } from "./rescued-tokens.ts";
import { itemToken } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import { findToken, sha256Of } from "./tokens.ts";
import type { Vault } from "./vault.ts";

export interface TokenRotationDeps {
  database: Database;
  vault: Vault;
  directory: Directory;
  clientFor: (integration: KnownIntegration) => Pick<PlaidClient, "postJson">;
  clock: Clock;
  logger: Logger;
  /** where the new token is kept, sealed, until it has committed */
  dataDir: string;
}

export interface RotatedToken {
  item_id: string;
  integration_id: string;
  /** ISO 8601 */
  rotated_at: string;
}

const INVALIDATE = "/item/access_token/invalidate";
/** How long a commit is repeated after Plaid has ended the old token. */
const REPEAT_MS = 60_000;
const PAUSE_MS = 500;
/** How often Plaid is asked whether it has ended a token, where its answer did not arrive. */
const PROBES = 3;

/**
 * Rotates the token; the new one is returned to nobody.
 * @throws TartanError `not_found` (item), `conflict` (it has no token; or another rotation of it began), `token_lost`,
 *   `plaid_unreachable`, `database_unavailable`; PlaidError where Plaid refuses: then nothing has changed
 */
export async function rotateToken(
  deps: TokenRotationDeps,
  { integrationId, itemId }: Omit<Rotation, "id">,
  by: Change = BY_TARTAN,
): Promise<RotatedToken> {
  const { database, logger } = deps;
  const rotation: Rotation = { id: newUuid(), integrationId, itemId };
  // Of an earlier rotation that could not store its token: Plaid would refuse the one that is stored.
  await takeInTokens(deps, deps.dataDir, { integrationId, itemId });
  await note(database, rotation);
  const rescue = await openRescue(deps.dataDir, rotation.id).catch((error: unknown) => {
    logger.warn({ err: error, item_id: itemId }, "no file can keep the new token while it is not in the database yet");
    return null;
  });
  const asked: Asked = {};
  try {
    await database.transaction((tx) => replaceOnce(deps, tx, rotation, { asked, rescue, by }));
  } catch (error) {
    if (asked.replacement === undefined) {
      await rescue?.discard();
      throw await withoutToken(deps, rotation, error);
    }
    const { replacement, file } = asked;
    await keepTrying(deps, rotation, { replacement, file, by }, error);
  }
  await rescue?.discard();
  return { item_id: itemId, integration_id: integrationId, rotated_at: new Date().toISOString() };
}

/** What Plaid answered. */
interface Asked {
  replacement?: Replacement;
  /** which holds it; undefined where none could be written */
  file?: string;
}

/** Notes the rotation, in place of an earlier one that did not end. */
async function note(database: Database, { id, integrationId, itemId }: Rotation): Promise<void> {
  const { rows } = await database.query<{ linked: boolean }>(NOTE_ROTATION, [integrationId, itemId, id]);
  if (rows.length === 0) {
    throw new TartanError(
      "conflict",
      `Tartan has no access token of Item ${itemId} (any more), so there is none to rotate.`,
      { fields: { item_id: "names an item without a token" } },
    );
  }
}

/** Asks Plaid while the item's row is locked, and stores the new token. Of a repeated transaction only the first attempt asks. */
async function replaceOnce(
  deps: TokenRotationDeps,
  tx: Queryable,
  rotation: Rotation,
  { asked, rescue, by }: { asked: Asked; rescue: Rescue | null; by: Change },
): Promise<void> {
  const { vault } = deps;
  const { integrationId, itemId } = rotation;
  const place = itemToken(integrationId, itemId);
  await beginSealing(tx, vault);
  if (!(await holdRotation(tx, rotation))) throw anotherOne(rotation);
  if (asked.replacement === undefined) {
    const old = await findToken(tx, vault, integrationId, itemId);
    if (old === null) throw anotherOne(rotation);
    // What could keep the new token from being sealed shows now.
    vault.seal(old.accessToken, place);
    const token = await askPlaid(deps, rotation, old.accessToken);
    const formerSha256 = sha256Of(old.accessToken);
    asked.replacement = { sealed: vault.seal(token, place), formerSha256 };
    try {
      await rescue?.keep({ integrationId, itemId, ...asked.replacement });
      if (rescue) asked.file = rescue.file;
    } catch (error) {
      deps.logger.warn({ err: error, item_id: itemId }, "a new token is in no file yet");
    }
  }
  await replaceToken(tx, rotation, asked.replacement, by);
}

const anotherOne = ({ itemId }: Pick<Rotation, "itemId">): TartanError =>
  new TartanError(
    "conflict",
    `Another token of Item ${itemId} was stored or requested meanwhile. Nothing has changed; rotate it again.`,
  );

async function askPlaid({ directory, clientFor }: TokenRotationDeps, { integrationId }: Rotation, token: string) {
  const integration = await directory.find(integrationId);
  if (integration === null) throw new TartanError("not_found", `There is no integration ${integrationId}.`);
  type Answer = { new_access_token?: unknown };
  const answer = await clientFor(integration).postJson<Answer>(INVALIDATE, { access_token: token });
  if (typeof answer.new_access_token === "string" && answer.new_access_token !== "") return answer.new_access_token;
  throw new PlaidError({ errorType: "NETWORK", errorCode: "UNREADABLE_ANSWER", httpStatus: 200 });
}

/** Stores a token that Plaid has given, after the commit has failed, or may have. */
async function keepTrying(
  { database, clock, logger, vault }: TokenRotationDeps,
  rotation: Rotation,
  { replacement, file, by }: { replacement: Replacement; file: string | undefined; by: Change },
  first: unknown,
): Promise<void> {
  const { integrationId, itemId } = rotation;
  const place = itemToken(integrationId, itemId);
  for (const end = clock.now() + REPEAT_MS; ;) {
    logger.warn({ err: first, item_id: itemId }, "a rotated token is not in the database yet; trying again");
    try {
      await database.transaction(async (tx) => {
        await beginSealing(tx, vault);
        // Otherwise it has committed, or somebody stored another token.
        const stored = await holdFormer(tx, vault, rotation, replacement.formerSha256);
        if (stored !== "former") return;
        // The master key may have been rotated since it was sealed.
        const sealed = vault.seal(vault.open(replacement.sealed, place), place);
        await replaceToken(tx, rotation, { ...replacement, sealed }, by);
      });
      return;
    } catch (error) {
      if (clock.now() > end) throw notStored(rotation, file, error);
      if (!isPassing(error)) logger.error({ err: error, item_id: itemId }, "a rotated token cannot be stored");
      await clock.sleep(PAUSE_MS);
    }
  }
}

function notStored({ itemId }: Rotation, file: string | undefined, cause: unknown): TartanError {
  if (file === undefined) return lost(itemId, cause);
  return new TartanError(
    "database_unavailable",
    `Plaid has replaced the token of Item ${itemId}, and Postgres does not store the new one. It is sealed in ${file}: ` +
      "once Postgres works, a server with this data directory takes it in within a minute. Keep the file until then.",
    { cause },
  );
}

const lost = (itemId: string, cause: unknown): TartanError =>
  new TartanError(
    "token_lost",
    `Plaid has replaced the access token of Item ${itemId}, and the new one did not arrive here. Ask the user to link the ` +
      "account again, then unlink this Item. Ask Plaid's support to remove the old one at Plaid.",
    { cause },
  );

/** What is true after Plaid was asked and gave no token: whether the old one still works decides. */
async function withoutToken(deps: TokenRotationDeps, rotation: Rotation, error: unknown): Promise<unknown> {
  const mayBeDone = error instanceof PlaidError && ["NETWORK", "API_ERROR"].includes(error.errorType);
  const works = mayBeDone ? await oldTokenWorks(deps, rotation) : true;
  if (works === false) return lost(rotation.itemId, error);
  const { id, integrationId, itemId } = rotation;
  // A note that stays does no harm: the next rotation replaces it.
  if (works) await deps.database.query(FORGET_ROTATION, [integrationId, itemId, id]).catch(() => undefined);
  if (!mayBeDone) return error;
  return new TartanError(
    "plaid_unreachable",
    works
      ? "Plaid did not answer, and the old token still works: nothing has changed. Try again in a moment."
      : `Plaid did not answer, so it is not known whether it has replaced the token of Item ${itemId}. The next sync shows it: with ` +
          "INVALID_ACCESS_TOKEN the token is lost, and the user has to link the account again.",
    { cause: error },
  );
}

/** Null where Plaid does not say. */
async function oldTokenWorks(
  { database, vault, directory, clientFor, clock }: TokenRotationDeps,
  { integrationId, itemId }: Rotation,
): Promise<boolean | null> {
  const integration = await directory.find(integrationId);
  const old = await findToken(database, vault, integrationId, itemId).catch(() => null);
  if (!integration || !old) return null;
  for (let probe = 0; probe < PROBES; probe += 1) {
    if (probe > 0) await clock.sleep(PAUSE_MS);
    try {
      await clientFor(integration).postJson("/item/get", { access_token: old.accessToken });
      return true;
    } catch (error) {
      if (error instanceof PlaidError && error.errorCode === "INVALID_ACCESS_TOKEN") return false;
    }
  }
  return null;
}
