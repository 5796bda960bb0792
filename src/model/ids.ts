/**
 * The ids of Tartan. There are two kinds:
 *
 * - Things that are made often have a UUIDv7 (RFC 9562): 48 bits of milliseconds, then a counter that keeps one process's ids of one
 *   millisecond in the order in which they were made, then 62 random bits. So ordering by id is ordering by time, a partition is
 *   a range of ids, and new rows go to the right edge of every index. Users see a prefix and the UUID's 32 hexadecimal digits.
 * - Things that people make (integrations, listeners, destinations, routes, keys, jobs) have a prefix and 24 random characters.
 */
import { randomBytes, randomFillSync, randomInt } from "node:crypto";

// Draws many random bytes at a time: a call costs more than the bytes.
const pool = Buffer.allocUnsafe(4096);
let used = pool.length;
const scratch = Buffer.allocUnsafe(16);
let lastMillis = -1;
let counter = 0;

/** A new UUIDv7 of the instant `at` (default: now). */
export function newUuid(at: Date | number = Date.now()): string {
  const millis = typeof at === "number" ? at : at.getTime();
  counter = millis === lastMillis ? (counter + 1) & 0xfff : 0;
  lastMillis = millis;
  if (used + 8 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  scratch.writeUIntBE(millis, 0, 6);
  scratch.writeUInt16BE(0x7000 | counter, 6);
  pool.copy(scratch, 8, used, used + 8);
  used += 8;
  scratch[8] = ((scratch[8] ?? 0) & 0x3f) | 0x80;
  const hex = scratch.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DIGITS = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** Whether the text is a UUID as Postgres writes it. */
export const isUuid = (text: string): boolean => UUID.test(text);

const toId = (prefix: string, uuid: string): string => prefix + uuid.replaceAll("-", "");

function fromId(prefix: string, id: string): string | null {
  if (!id.startsWith(prefix)) return null;
  const parts = DIGITS.exec(id.slice(prefix.length));
  return parts === null ? null : parts.slice(1).join("-");
}

/** `0192…-…` → `whk_0192…` */
export const toWebhookId = (uuid: string): string => toId("whk_", uuid);
/** `whk_0192…` → `0192…-…`, or null when it is not the id of a webhook. */
export const fromWebhookId = (id: string): string | null => fromId("whk_", id);

/** `0192…-…` → `evt_0192…`; also of a webhook, which is the event webhook.received. */
export const toEventId = (uuid: string): string => toId("evt_", uuid);
/** `evt_0192…` → `0192…-…`, or null when it is not the id of an event. */
export const fromEventId = (id: string): string | null => fromId("evt_", id);

/** `0192…-…` → `dlv_0192…` */
export const toDeliveryId = (uuid: string): string => toId("dlv_", uuid);
/** `dlv_0192…` → `0192…-…`, or null when it is not the id of a delivery. */
export const fromDeliveryId = (id: string): string | null => fromId("dlv_", id);

/** `0192…-…` → `ptk_0192…`: a public token of Link, without the token. */
export const toPublicTokenId = (uuid: string): string => toId("ptk_", uuid);

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH = 24;

const randomId = (prefix: string): string =>
  prefix + Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");

export const newIntegrationId = (): string => randomId("svi_");
export const newDestinationId = (): string => randomId("dst_");
export const newRouteId = (): string => randomId("rte_");
export const newSigningKeyId = (): string => randomId("sgk_");
export const newListenerId = (): string => randomId("lsn_");
export const newJobId = (): string => randomId("job_");
export const newApiKeyId = (): string => `key_${randomBytes(12).toString("hex")}`;

const INTEGRATION_ID = /^svi_[a-z0-9]{1,60}$/;

/** Whether the text may be the id of an integration. */
export const isIntegrationId = (text: string): boolean => INTEGRATION_ID.test(text);

const LISTENER_ID = /^lsn_[a-z0-9]{1,60}$/;

/** Whether the text may be the id of a listener. */
export const isListenerId = (text: string): boolean => LISTENER_ID.test(text);
