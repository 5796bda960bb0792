/** The webhooks that wait for a run, and their outcomes. */
import type { Queryable } from "../database/types.ts";
import type { Source, Subject } from "../model/webhook.ts";
import { parseBody } from "../plaid/webhooks.ts";
import {
  BODIES,
  BACKFILL_USER_OF_SUBJECT,
  FORGET_REQUESTED,
  GET_UNPROCESSED,
  MARK_SERVED,
  NEWEST_BODY,
  webhooksOf,
} from "./queries.ts";

/** A webhook that waits for a run. */
export interface WaitingWebhook {
  /** UUID */
  id: string;
  type: string | null;
  code: string | null;
  receivedAt: Date;
  /** resources that its sender requests besides those that it touches */
  requested: readonly string[];
}

/**
 * The webhooks of a subject that wait, oldest first.
 * @param from UUID; older ones are skipped
 */
export async function waitingOf(
  q: Queryable,
  { integrationId, kind, id }: Subject & { integrationId: string },
  from: string,
  limit: number,
): Promise<WaitingWebhook[]> {
  type Row = Omit<WaitingWebhook, "receivedAt"> & { received_at: Date };
  const { rows } = await q.query<Row>(webhooksOf(kind), [integrationId, kind, id, from, limit]);
  return rows.map(({ received_at: receivedAt, ...webhook }) => ({ ...webhook, receivedAt }));
}

/** A run may serve a thousand webhooks, so larger bodies are not read. */
const BODY_BYTES_MAX = 16 * 1024;

/** The bodies that are objects, by id. `ids` are UUIDs in their order. */
export async function bodiesOf(
  q: Queryable,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, unknown>>>> {
  if (ids.length === 0) return new Map();
  type Row = { id: string; body: Buffer };
  const { rows } = await q.query<Row>(BODIES, [ids, ids[0], ids.at(-1), BODY_BYTES_MAX]);
  return new Map(
    rows.flatMap(({ id, body }) => {
      const fields = parseBody(body);
      return fields === null ? [] : [[id, fields] as const];
    }),
  );
}

/** Writes the outcome to those of the webhooks that still wait. `ids` are UUIDs in their order. */
export async function markServed(tx: Queryable, ids: readonly string[], info: object): Promise<void> {
  if (ids.length > 0) await tx.query(MARK_SERVED, [ids, ids[0], ids.at(-1), JSON.stringify(info)]);
}

/** Deletes what the senders requested, once a run has taken it over. `ids` are UUIDs in their order. */
export async function forgetRequested(tx: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.query(FORGET_REQUESTED, [ids, ids[0], ids.at(-1)]);
}

/**
 * A text in the newest webhook of a subject that is no item, such as the token that Plaid sends with each; null where there is none. It
 * must not be shown.
 */
export async function newestField(
  q: Queryable,
  { integrationId, kind, id }: Subject & { integrationId: string },
  field: string,
): Promise<string | null> {
  const { rows } = await q.query<{ body: Buffer | null }>(NEWEST_BODY, [integrationId, kind, id]);
  const body = rows[0]?.body;
  const value = body && parseBody(body)?.[field];
  return typeof value === "string" && value !== "" ? value : null;
}

/** Gives the webhooks of a subject that is no item their user. */
export async function backfillUser(
  tx: Queryable,
  { integrationId, kind, id }: Subject & { integrationId: string },
  userId: string,
): Promise<void> {
  await tx.query(BACKFILL_USER_OF_SUBJECT, [integrationId, kind, id, userId]);
}

/** The columns that decide whether a webhook needs a run. */
export interface Unprocessed {
  /** UUID */
  id: string;
  integrationId: string;
  subject: Subject | null;
  source: Source;
  type: string | null;
  code: string | null;
  requested: readonly string[];
}

/** Those of the webhooks that wait, in the order of their ids. `ids` are UUIDs in their order. */
export async function getUnprocessed(q: Queryable, ids: readonly string[]): Promise<Unprocessed[]> {
  if (ids.length === 0) return [];
  type Row = Omit<Unprocessed, "integrationId" | "subject"> & {
    integration_id: string;
    subject_kind: string | null;
    subject_id: string | null;
  };
  const { rows } = await q.query<Row>(GET_UNPROCESSED, [ids, ids[0], ids.at(-1)]);
  return rows.map(({ integration_id: integrationId, subject_kind: kind, subject_id: id, ...row }) => ({
    ...row,
    integrationId,
    subject: kind === null || id === null ? null : { kind, id },
  }));
}
