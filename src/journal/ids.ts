/**
 * Ids of webhooks. Inside they are UUIDv7 (RFC 9562): 48 bits of milliseconds, then a counter that keeps one process's
 * webhooks of one millisecond in the order they came, then 62 random bits. So ordering by id is ordering by time, a
 * partition is a range of ids, and new rows go to the right edge of every index. Outside they are `whk_` and the
 * UUID's 32 hexadecimal digits.
 */
import { randomFillSync } from "node:crypto";

const PREFIX = "whk_";
const WEBHOOK_ID = /^whk_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

// Random bytes are drawn many at a time: a call costs more than the bytes.
const pool = Buffer.allocUnsafe(4096);
let used = pool.length;
const scratch = Buffer.allocUnsafe(16);
let lastMillis = -1;
let counter = 0;

/** A new UUIDv7 of the instant `at` (default: now). */
export function newWebhookUuid(at: Date | number = Date.now()): string {
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

/** `0192…-…` → `whk_0192…` */
export function toWebhookId(uuid: string): string {
  return PREFIX + uuid.replaceAll("-", "");
}

/** `whk_0192…` → `0192…-…`, or null when it is not a webhook id. */
export function fromWebhookId(id: string): string | null {
  const parts = WEBHOOK_ID.exec(id);
  return parts === null ? null : parts.slice(1).join("-");
}
