/**
 * What is sent of an event, byte for byte. Nothing that came from Plaid is parsed and written anew: a webhook that is
 * passed on is its own bytes, one that is wrapped stands in the envelope as it came, with its whitespace, its numbers' digits
 * and the order of its members, only without tokens; an event is the bytes that were stored when it happened.
 *
 * The form `original` alone holds tokens: Plaid signed the hash of these very bytes, and a receiver that checks the
 * signature could not do so without them.
 */
import { createHash } from "node:crypto";
import { toEventId, toWebhookId } from "../../model/ids.ts";
import { cutTokens } from "../../tokens.ts";
import type { EventSource, Form } from "../model/types.ts";

export const WEBHOOK_RECEIVED = "webhook.received";

/**
 * The body of what is sent: for form `original` the event's own bytes, else the event. What a transform makes of an
 * event is made of `render(source, "event")`.
 */
export function render(source: EventSource, form: Form): Buffer {
  return form === "original" || source.type !== WEBHOOK_RECEIVED ? source.bytes : wrap(source);
}

/** The same as it may be shown to people: without tokens in any form. */
export const renderForDisplay = (source: EventSource, form: Form): Buffer => cutTokens(render(source, form)).bytes;

/**
 * What a matcher looks at: a webhook's body, another event's `data`. `undefined` where that is not JSON. Numbers are
 * JavaScript's here, so digits beyond its precision are not told apart.
 */
export function payloadOf(source: EventSource): unknown {
  const value = readJson(source.bytes)?.value;
  if (source.type === WEBHOOK_RECEIVED) return value;
  return typeof value === "object" && value !== null && "data" in value ? value.data : undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Null where the bytes are not JSON. */
function readJson(bytes: Buffer): { value: unknown } | null {
  try {
    return { value: JSON.parse(decoder.decode(bytes)) as unknown };
  } catch {
    return null;
  }
}

/** The envelope that journal.envelope writes of other events, around the webhook. */
function wrap(source: EventSource): Buffer {
  const { bytes, cut } = cutTokens(source.bytes);
  const isJson = readJson(bytes) !== null;
  const head = {
    id: toEventId(source.id),
    type: source.type,
    version: 1,
    occurred_at: source.occurredAt.toISOString(),
    integration_id: source.integrationId,
    environment: source.environment,
    item_id: source.itemId,
    user_id: source.userId,
    history: source.history,
  };
  const facts = {
    webhook_id: toWebhookId(source.id),
    source: source.source,
    webhook_type: source.webhookType,
    webhook_code: source.webhookCode,
    received_at: source.occurredAt.toISOString(),
  };
  const rest = {
    body_base64: isJson ? null : bytes.toString("base64"),
    tokens_cut: cut,
    verification: verificationOf(source),
  };
  return Buffer.concat([
    Buffer.from(`${open(head)},"data":${open(facts)},"webhook":`),
    isJson ? bytes : Buffer.from("null"),
    Buffer.from(`,${JSON.stringify(rest).slice(1)}}`),
  ]);
}

/** An object that goes on. */
const open = (members: object): string => JSON.stringify(members).slice(0, -1);

function verificationOf({ verification, keyId, signedAt, bytes }: EventSource): object | null {
  if (verification === null) return null;
  return {
    jwt: verification,
    key_id: keyId,
    signed_at: signedAt?.toISOString() ?? null,
    body_sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}
