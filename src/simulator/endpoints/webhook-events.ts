/**
 * POST /beta/webhook_events/list: the webhooks of the last seven days that were sent to the client, oldest first, in pages. A cursor says
 * up to which instant a reader has come, and how many webhooks of that millisecond it has: it stays valid when the simulator starts anew,
 * whose log begins empty.
 */
import { z } from "zod";
import { cursorExpired, invalidField, startTimeOutOfRange } from "../plaid-error.ts";
import type { SentStatus, SentWebhook } from "../webhooks/log.ts";
import { endpoint } from "./endpoint.ts";

const RETENTION_MS = 7 * 86_400_000;
const MOST = 100;

const STATUS: Record<SentStatus, "PENDING" | "DELIVERED" | "FAILED"> = {
  pending: "PENDING",
  delivered: "DELIVERED",
  failed: "FAILED",
  dropped: "FAILED",
};

interface Position {
  at: number;
  /** webhooks of that millisecond that were read */
  read: number;
}

const texts = z.array(z.string()).nullish();

export const webhookEventsList = endpoint(
  "/beta/webhook_events/list",
  {
    cursor: z.string().nullish(),
    start_time: z.iso.datetime({ offset: true }).nullish(),
    count: z.int().min(1).max(MOST).nullish(),
    webhook_types: texts,
    webhook_codes: texts,
    item_ids: texts,
    delivery_statuses: z.array(z.enum(["PENDING", "DELIVERED", "FAILED"])).nullish(),
  },
  (body, { sim, client }) => {
    const now = sim.time.now();
    const from = startOf(body.cursor, body.start_time, now - RETENTION_MS);
    const sent = after(sim.sender.log.sentTo(client.clientId), from);
    const requested = sent.filter(
      (one) =>
        includes(body.webhook_types, one.webhook_type) &&
        includes(body.webhook_codes, one.webhook_code) &&
        includes(body.item_ids, one.item_id) &&
        includes(body.delivery_statuses, STATUS[one.status]),
    );
    const page = requested.slice(0, body.count ?? MOST);
    const has_more = requested.length > page.length;
    const last = page.at(-1);
    const next = has_more && last ? positionAfter(sent, last, from) : positionAt(sent, now, from);
    return { has_more, next_cursor: writeCursor(next), webhook_events: page.map(eventObject) };
  },
);

const includes = (requested: readonly string[] | null | undefined, value: string | null): boolean =>
  !requested?.length || (value !== null && requested.includes(value));

const millis = (one: SentWebhook): number => Date.parse(one.created_at);

function startOf(cursor: string | null | undefined, startTime: string | null | undefined, oldest: number): Position {
  if (cursor && startTime) throw invalidField("cursor and start_time exclude each other: send one of them");
  if (cursor) {
    const position = readCursor(cursor);
    if (position.at < oldest) throw cursorExpired();
    return position;
  }
  const at = startTime ? Date.parse(startTime) : oldest;
  if (at < oldest) throw startTimeOutOfRange();
  return { at, read: 0 };
}

function after(sent: readonly SentWebhook[], { at, read }: Position): SentWebhook[] {
  const first = sent.findIndex((one) => millis(one) >= at);
  if (first < 0) return [];
  const same = sent.slice(first).filter((one) => millis(one) === at).length;
  return sent.slice(first + Math.min(read, same));
}

/** behind this one; `sent` are those behind `from` */
function positionAfter(sent: readonly SentWebhook[], last: SentWebhook, from: Position): Position {
  const at = millis(last);
  const upTo = sent.slice(0, sent.indexOf(last) + 1).filter((one) => millis(one) === at).length;
  return { at, read: upTo + (at === from.at ? from.read : 0) };
}

/** behind everything so far */
function positionAt(sent: readonly SentWebhook[], now: number, from: Position): Position {
  const read = sent.filter((one) => millis(one) === now).length;
  return { at: now, read: read + (now === from.at ? from.read : 0) };
}

const writeCursor = ({ at, read }: Position): string =>
  Buffer.from(`webhook_events/${at}/${read}`).toString("base64url");

function readCursor(cursor: string): Position {
  const [, at, read] =
    /^webhook_events\/(\d{1,15})\/(\d{1,9})$/.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (at === undefined || read === undefined) throw invalidField("cursor must be the next_cursor of an earlier answer");
  return { at: Number(at), read: Number(read) };
}

/** Plaid's WebhookEvent */
function eventObject(one: SentWebhook): Record<string, unknown> {
  const attempts = one.attempts.filter(({ duplicate }) => !duplicate);
  const last = attempts.at(-1);
  return {
    attempt_count: attempts.length,
    delivery_status: STATUS[one.status],
    destination_url: one.url,
    item_id: one.item_id,
    last_attempt_time: last?.at ?? null,
    last_http_status_code: last?.http_status ?? null,
    payload: JSON.parse(one.body) as unknown,
    sent_time: one.created_at,
    webhook_code: one.webhook_code,
    webhook_message_id: one.webhook_id,
    webhook_type: one.webhook_type,
  };
}
