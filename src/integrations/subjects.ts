/**
 * Subjects that belong to no item and that you added: their user, and their sealed token where Plaid is asked
 * with one (an asset report, a processor's account). Most subjects are known from Plaid's webhooks alone and are not here.
 */
import { untilNone } from "../database/parts.ts";
import type { Queryable } from "../database/types.ts";
import type { Subject } from "../model/webhook.ts";
import { holdIntegration } from "./items.ts";
import {
  DROP_SUBJECT_TOKENS,
  FORGET_SUBJECT,
  GET_SUBJECT,
  PURGE_SUBJECTS,
  SUBJECTS_WITH_TOKEN,
  UPSERT_SUBJECT,
} from "./queries.ts";
import { subjectToken } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import type { Vault } from "./vault.ts";

export interface SubjectKey extends Subject {
  integrationId: string;
}

export interface RegisteredSubject extends SubjectKey {
  token?: string | undefined;
  /** your identifier of the user; when absent, the known one stays */
  userId?: string | undefined;
}

/**
 * Seals a subject's token and stores it, in the caller's transaction; the integration cannot be deleted until that ends.
 * @returns false where the subject was registered before
 * @throws TartanError `not_found` (integration), `vault_key_missing`
 */
export async function storeSubject(tx: Queryable, vault: Vault, subject: RegisteredSubject): Promise<boolean> {
  const { integrationId, kind, id, token, userId } = subject;
  await holdIntegration(tx, integrationId);
  if (token !== undefined) await beginSealing(tx, vault);
  const sealed = token === undefined ? null : vault.seal(token, subjectToken(integrationId, kind, id));
  const { rows } = await tx.query<{ created: boolean }>(UPSERT_SUBJECT, [
    integrationId,
    kind,
    id,
    userId ?? null,
    sealed,
  ]);
  return rows[0]?.created ?? false;
}

/**
 * What is known of a subject; null where it was not registered.
 * @throws TartanError `vault_unsealable`
 */
export async function findSubject(
  q: Queryable,
  vault: Vault,
  { integrationId, kind, id }: SubjectKey,
): Promise<{ token: string | null; userId: string | null } | null> {
  type Row = { user_id: string | null; sealed: Buffer | null };
  const [row] = (await q.query<Row>(GET_SUBJECT, [integrationId, kind, id])).rows;
  if (!row) return null;
  const token = row.sealed && vault.open(row.sealed, subjectToken(integrationId, kind, id));
  return { token, userId: row.user_id };
}

/** Those of the subjects that have a token. */
export async function subjectsWithToken(q: Queryable, keys: readonly SubjectKey[]): Promise<SubjectKey[]> {
  if (keys.length === 0) return [];
  const values = [
    keys.map(({ integrationId }) => integrationId),
    keys.map(({ kind }) => kind),
    keys.map(({ id }) => id),
  ];
  return (await q.query<SubjectKey>(SUBJECTS_WITH_TOKEN, values)).rows.map((row) => ({ ...row }));
}

export async function forgetSubject(tx: Queryable, integrationId: string, { kind, id }: Subject): Promise<void> {
  await tx.query(FORGET_SUBJECT, [integrationId, kind, id]);
}

/** Deletes the tokens of an integration's subjects, in parts. */
export const dropSubjectTokens = (q: Queryable, integrationId: string): Promise<void> =>
  untilNone(q, DROP_SUBJECT_TOKENS, [integrationId]);

/** In parts. */
export const purgeSubjects = (q: Queryable, integrationId: string): Promise<void> =>
  untilNone(q, PURGE_SUBJECTS, [integrationId]);
