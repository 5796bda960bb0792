/** Deletes what linking holds: of an item or an integration that is erased, and what is old. */
import { DELETED_AT_ONCE, untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import {
  FORGET_LINK_TOKENS_OF_ITEM,
  FORGET_PUBLIC_TOKENS_OF_ITEM,
  PURGE_LINK_TOKENS,
  PURGE_PUBLIC_TOKENS,
  PURGE_WATCHED_TOKENS,
  TRIM_LINK_TOKENS,
  TRIM_PUBLIC_TOKENS,
} from "./queries.ts";

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_LINK_TOKENS_OF_ITEM, [integrationId, itemId]);
  await tx.query(FORGET_PUBLIC_TOKENS_OF_ITEM, [integrationId, itemId]);
}

/** Deletes the Link tokens of an integration that are kept themselves, in parts. */
export const dropTokens = (q: Queryable, integrationId: string): Promise<void> =>
  untilNone(q, PURGE_WATCHED_TOKENS, [integrationId, DELETED_AT_ONCE]);

/** In parts. */
export async function purgeIntegration(q: Queryable, integrationId: string): Promise<void> {
  await untilNone(q, PURGE_LINK_TOKENS, [integrationId, DELETED_AT_ONCE]);
  await untilNone(q, PURGE_PUBLIC_TOKENS, [integrationId, DELETED_AT_ONCE]);
}

/**
 * Deletes Link tokens a week after their end and public tokens after 30 days, in batches, so that no transaction is long.
 * @returns how many
 */
export async function pruneLinks(q: Queryable, signal?: AbortSignal): Promise<number> {
  let gone = 0;
  for (const statement of [TRIM_LINK_TOKENS, TRIM_PUBLIC_TOKENS]) {
    for (;;) {
      const { rowCount } = await q.query(statement, [DELETED_AT_ONCE]);
      gone += rowCount;
      if (rowCount < DELETED_AT_ONCE || signal?.aborted) break;
    }
  }
  return gone;
}
