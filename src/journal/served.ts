/** The webhooks that wait for a run, and their outcomes. */
import type { Queryable } from "../database/types.ts";
import type { Source, Subject } from "../model/webhook.ts";
import { parseBody } from "../plaid/webhooks.ts";
import {
  ADD_INFO,
  BEFORE_TOKEN,
  BODIES,
  BACKFILL_USER_OF_SUBJECT,
  FORGET_REQUESTED,
  GET_ARRIVED,
  GET_BODY,
  HOLD_WEBHOOK,
  MARK_SERVED,
  NEWEST_BODY,
  NOTE_TAKEN_UP,
  webhooksOf,
} from "./queries.ts";

/** A webhook that waits for a run. */
export interface WaitingWebhook {
  /** UUID */
  id: string;
  type: string | null;
  code: string | null;
  receivedAt: Date;
  /** when Plaid sent it, where that is known; otherwise when it came */
  sentAt: Date;
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
  const { rows } = await q.query<WaitingRow>(webhooksOf(kind), [integrationId, kind, id, from, limit]);
  return rows.map(waiting);
}

type WaitingRow = Omit<WaitingWebhook, "receivedAt" | "sentAt"> & { received_at: Date; sent_at: Date };
const waiting = ({ received_at: receivedAt, sent_at: sentAt, ...webhook }: WaitingRow): WaitingWebhook => ({
  ...webhook,
  receivedAt,
  sentAt,
});

/** Plaid's webhooks with these codes that came about an item in the days before its token, oldest first, unless a run has taken them up. */
export async function beforeToken(
  q: Queryable,
  { integrationId, itemId }: { integrationId: string; itemId: string },
  codes: readonly string[],
): Promise<WaitingWebhook[]> {
  return (await q.query<WaitingRow>(BEFORE_TOKEN, [integrationId, itemId, codes])).rows.map(waiting);
}

/** Notes that a run has taken them up. `ids` are UUIDs in their order. */
export async function noteTakenUp(tx: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.query(NOTE_TAKEN_UP, [ids, ids[0], ids.at(-1)]);
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
 * must not be shown. A webhook that came without its tokens is passed over.
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

/** Adds facts to the update_info of a webhook, whether a run has served it or not. `id` is its UUID. */
export async function addInfo(tx: Queryable, id: string, info: object): Promise<void> {
  await tx.query(ADD_INFO, [id, JSON.stringify(info)]);
}

/**
 * Locks a webhook, so that what is read afterwards is in no older state than what another transaction has added before. `id` is its UUID.
 */
export async function holdWebhook(tx: Queryable, id: string): Promise<void> {
  await tx.query(HOLD_WEBHOOK, [id]);
}

/** A webhook with its body, tokens included: nothing of it may be shown. */
export interface WholeWebhook {
  integrationId: string;
  subject: Subject | null;
  code: string | null;
  userId: string | null;
  receivedAt: Date;
  /** when Plaid sent it, where that is known; otherwise when it came */
  sentAt: Date;
  /** empty where it is no JSON object */
  fields: Readonly<Record<string, unknown>>;
}

/** A webhook by its UUID; null where it was deleted. */
export async function wholeWebhook(q: Queryable, id: string): Promise<WholeWebhook | null> {
  type Row = {
    integration_id: string;
    subject_kind: string | null;
    subject_id: string | null;
    code: string | null;
    user_id: string | null;
    received_at: Date;
    sent_at: Date;
    body: Buffer;
  };
  const [row] = (await q.query<Row>(GET_BODY, [id])).rows;
  if (!row) return null;
  const { integration_id: integrationId, code, user_id: userId, received_at: receivedAt, sent_at: sentAt, body } = row;
  const subject = subjectIn(row);
  return { integrationId, subject, code, userId, receivedAt, sentAt, fields: parseBody(body) ?? {} };
}

const subjectIn = (row: { subject_kind: string | null; subject_id: string | null }): Subject | null =>
  row.subject_kind === null || row.subject_id === null ? null : { kind: row.subject_kind, id: row.subject_id };

/** A webhook as the marker reads it, with the columns that decide whether it needs a run. */
export interface Arrived {
  /** UUID */
  id: string;
  integrationId: string;
  subject: Subject | null;
  source: Source;
  type: string | null;
  code: string | null;
  requested: readonly string[];
  /** a run has served it, or none was needed */
  processed: boolean;
}

/** The webhooks that there still are, in the order of their ids. `ids` are UUIDs in their order. */
export async function getArrived(q: Queryable, ids: readonly string[]): Promise<Arrived[]> {
  if (ids.length === 0) return [];
  type Row = Omit<Arrived, "integrationId" | "subject"> & {
    integration_id: string;
    subject_kind: string | null;
    subject_id: string | null;
  };
  const { rows } = await q.query<Row>(GET_ARRIVED, [ids, ids[0], ids.at(-1)]);
  return rows.map(({ integration_id: integrationId, subject_kind, subject_id, ...row }) => ({
    ...row,
    integrationId,
    subject: subjectIn({ subject_kind, subject_id }),
  }));
}
