/**
 * Renders the body of an event. Data from Plaid is never parsed and serialized again: an original webhook is its own bytes; a
 * wrapped webhook keeps its whitespace, the digits of its numbers and the order of its members inside the envelope, without tokens;
 * any other event is the bytes that were stored with it.
 *
 * Only the form `original` contains tokens: Plaid signed the hash of exactly these bytes, so a receiver that checks the signature
 * needs them.
 */
import { createHash } from "node:crypto";
import { toEventId, toWebhookId } from "../../model/ids.ts";
import { cutTokens } from "../../model/cut-tokens.ts";
import type { EventSource, Form } from "../model/types.ts";

export const WEBHOOK_RECEIVED = "webhook.received";

/**
 * The body of an event: its own bytes for the form `original`, otherwise the event. A transform gets `render(source, "event")` as
 * its input.
 */
export function render(source: EventSource, form: Form): Buffer {
  return form === "original" || source.type !== WEBHOOK_RECEIVED ? source.bytes : wrap(source);
}

/** The same for display: without tokens in any form. */
export const renderForDisplay = (source: EventSource, form: Form): Buffer => cutTokens(render(source, form)).bytes;

/**
 * The value that matchers compare: the body of a webhook, `data` of any other event. `undefined` where it is not JSON. Numbers
 * are doubles here, so digits beyond their precision are not compared.
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

/** Wraps the webhook in the same envelope that events.envelope writes for other events. */
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

/** A JSON object without its closing brace. */
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
