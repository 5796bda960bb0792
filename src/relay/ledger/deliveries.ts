/**
 * Lists deliveries, newest first, and shows one of them with its attempts. Pages are cut by place in the order of all deliveries, so new
 * deliveries shift nothing.
 *
 * A page reads a bounded number of rows. Indexes find undelivered deliveries, and those of an item or an event, however many were
 * delivered. A type, a cause or the status `delivered` is searched in a window of places; such a page may have fewer deliveries than
 * asked for, or none, and still name a next page.
 */
import type { Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { fromCursor, toCursor } from "../../model/cursors.ts";
import { checkedFilter } from "../../model/listing.ts";
import type { DeliveryStatus } from "../../model/statuses.ts";
import { fromDeliveryId, fromEventId, toDeliveryId, toEventId } from "../../model/ids.ts";
import { cutTokens } from "../../model/cut-tokens.ts";
import { cutLookalikes } from "../../tokens.ts";
import { renderForDisplay } from "../content/body.ts";
import {
  ATTEMPTS_OF,
  BODY_OF,
  CANCEL_DELIVERIES_OF,
  CANCEL_DELIVERY,
  DELIVERY_FILTERS,
  GET_DELIVERY,
  isWindowed,
  listDeliveriesQuery,
  WINDOW_PLACES,
  PLACES_THERE,
  type DeliveryShape,
} from "./delivery-queries.ts";
import { DeliveryFilter } from "./delivery.schema.ts";
import { SOURCES } from "../content/queries.ts";
import type { EventSource, Form } from "../model/types.ts";

export type { DeliveryFilter } from "./delivery.schema.ts";

export interface DeliveryRecord {
  /** `dlv_…` */
  id: string;
  destination_id: string;
  /** `evt_…` */
  event_id: string;
  event_type: string;
  integration_id: string | null;
  item_id: string | null;
  route_id: string;
  route_version: number;
  form: Form;
  status: DeliveryStatus;
  /** ISO 8601; null once it is finished */
  due_at: string | null;
  attempts: number;
  /** since it was scheduled or last brought back */
  tries: number;
  job_id: string | null;
  cause: string | null;
  /** the cause in more words, where there are some: why a transform failed */
  detail: string | null;
  last_status: number | null;
  /** hexadecimal; null until its bytes are known */
  body_sha256: string | null;
  created_at: string;
  finished_at: string | null;
}

export interface AttemptRecord {
  number: number;
  started_at: string;
  /** null where its outcome is unknown */
  duration_ms: number | null;
  url: string;
  address: string | null;
  status: number | null;
  error: string | null;
  response_headers: Record<string, string> | null;
  /** the first 16 KiB of the answer, as text */
  response_head: string | null;
  job_id: string | null;
}

export interface DeliveryWhole extends DeliveryRecord {
  /** its attempts, the first one first; of very many, the last */
  log: AttemptRecord[];
}

export interface DeliveryPage {
  data: DeliveryRecord[];
  next_cursor: string | null;
}

type Row = Omit<DeliveryRecord, "due_at" | "created_at" | "finished_at"> & {
  seq: string;
  due_at: Date | null;
  created_at: Date;
  finished_at: Date | null;
};

type AttemptRow = Omit<AttemptRecord, "started_at" | "response_head"> & {
  started_at: Date;
  response_head: Buffer | null;
};

interface BodyRow {
  eventId: string;
  eventType: string;
  form: Form;
  /** null: it is made of the event */
  body: Buffer | null;
  /** as it was known at dispatch */
  userId: string | null;
}

const LOG_MAX = 500;
const HEADERS_MAX = 100;
const HEADER_LENGTH_MAX = 1024;
/** Windows without a result that one page searches. */
const WINDOWS_MAX = 5;
const LAST_PLACE = 2n ** 63n - 1n;

/**
 * One page, newest first.
 * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable
 */
export async function listDeliveries(q: Queryable, filter: DeliveryFilter): Promise<DeliveryPage> {
  const { limit, cursor, status = null, ...wanted } = checkedFilter(DeliveryFilter, filter);
  const before = cursor === undefined ? LAST_PLACE : BigInt(fromCursor("deliveries", cursor));
  const shape: DeliveryShape = {
    given: DELIVERY_FILTERS.filter((name) => wanted[name] !== undefined),
    status,
  };
  const values = shape.given.map((name) => (name === "event_id" ? fromEventId(wanted.event_id ?? "") : wanted[name]));
  const read = async (from: bigint, to: bigint): Promise<DeliveryPage> => {
    const all = [limit + 1, String(to), String(from), ...values];
    const { rows } = await q.query<Row>(listDeliveriesQuery(shape), all);
    const last = rows.length > limit ? rows[limit - 1]?.seq : undefined;
    return { data: rows.slice(0, limit).map(toRecord), next_cursor: last ? toCursor("deliveries", last) : null };
  };
  if (!isWindowed(shape)) return await read(0n, before);
  return await searchWindows(q, wanted.destination_id ?? null, before, read);
}

/** Reads window after window until one has a delivery; a page ends where its window does. */
async function searchWindows(
  q: Queryable,
  destinationId: string | null,
  before: bigint,
  read: (from: bigint, to: bigint) => Promise<DeliveryPage>,
): Promise<DeliveryPage> {
  const { rows } = await q.query<{ least: string | null; most: string | null }>(PLACES_THERE, [destinationId]);
  const least = BigInt(rows[0]?.least ?? 0);
  const behindMost = BigInt(rows[0]?.most ?? 0) + 1n;
  let to = before < behindMost ? before : behindMost;
  for (let windows = 1; ; windows += 1) {
    const from = to - BigInt(WINDOW_PLACES);
    const page = await read(from, to);
    if (page.next_cursor !== null || from <= least) return page;
    if (page.data.length > 0 || windows === WINDOWS_MAX)
      return { ...page, next_cursor: toCursor("deliveries", String(from)) };
    to = from;
  }
}

/** The delivery `dlv_…` with its attempts, or null where there is none. */
export async function getDelivery(q: Queryable, id: string): Promise<DeliveryWhole | null> {
  const uuid = fromDeliveryId(id);
  if (uuid === null) return null;
  const { rows } = await q.query<Row>(GET_DELIVERY, [uuid]);
  if (!rows[0]) return null;
  const attempts = await q.query<AttemptRow>(ATTEMPTS_OF, [uuid, LOG_MAX]);
  return { ...toRecord(rows[0]), log: attempts.rows.map(toAttempt) };
}

/**
 * The body, byte for byte except for tokens, which are cut out. null: there is no such delivery, its event is no longer kept, or its
 * transform has not run yet.
 */
export async function getDeliveryBody(q: Queryable, id: string): Promise<Buffer | null> {
  const { rows } = await q.query<BodyRow>(BODY_OF, [fromDeliveryId(id)]);
  const [delivery] = rows;
  if (!delivery) return null;
  if (delivery.body !== null) return cutTokens(delivery.body).bytes;
  if (delivery.form === "transform") return null;
  const isWebhook = delivery.eventType === "webhook.received";
  const ids = [[delivery.eventId], []];
  const { rows: sources } = await q.query<EventSource>(SOURCES, isWebhook ? ids : ids.toReversed());
  return sources[0] ? renderForDisplay({ ...sources[0], userId: delivery.userId }, delivery.form) : null;
}

/**
 * Cancels the delivery, so that no attempt begins any more; an attempt under way may still arrive.
 * @throws TartanError `not_found`, or `conflict` when it is finished
 */
export async function cancelDelivery(q: Queryable, id: string): Promise<DeliveryWhole> {
  const cancelled = await q.query(CANCEL_DELIVERY, [fromDeliveryId(id)]);
  const delivery = await getDelivery(q, id);
  if (!delivery) throw new TartanError("not_found", `There is no delivery ${id}; ids look like dlv_ and 32 digits.`);
  if (cancelled.rowCount === 0) {
    throw new TartanError(
      "conflict",
      `Delivery ${id} is ${delivery.status}; only what is still to be sent can be cancelled.`,
    );
  }
  return delivery;
}

/** Cancels the scheduled deliveries of a deleted destination, in batches. @returns whether there were any */
export async function cancelDeliveriesOf(q: Queryable, destinationId: string): Promise<boolean> {
  let found = false;
  while ((await q.query(CANCEL_DELIVERIES_OF, [destinationId])).rowCount > 0) found = true;
  return found;
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

function toRecord({ seq: _seq, ...row }: Row): DeliveryRecord {
  return {
    ...row,
    id: toDeliveryId(row.id),
    event_id: toEventId(row.event_id),
    due_at: iso(row.due_at),
    created_at: row.created_at.toISOString(),
    finished_at: iso(row.finished_at),
  };
}

function toAttempt(row: AttemptRow): AttemptRecord {
  return {
    ...row,
    started_at: row.started_at.toISOString(),
    response_headers: row.response_headers && cap(row.response_headers),
    // Rows from before tokens were cut out of answers may contain some.
    response_head: row.response_head && cutTokens(row.response_head).bytes.toString("utf8"),
  };
}

/** The headers of an answer, up to a bound. */
function cap(headers: Record<string, unknown>): Record<string, string> {
  const kept = Object.entries(headers).slice(0, HEADERS_MAX);
  return Object.fromEntries(
    kept.map(([name, value]) => [name, cutLookalikes(String(value)).slice(0, HEADER_LENGTH_MAX)]),
  );
}
