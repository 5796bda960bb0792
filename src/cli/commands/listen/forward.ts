/**
 * Forwards events to a developer's machine: one at a time, in order, each once, signed as a delivery is. It reports the answer
 * and does not act on it. It does not retry: a developer replays events as needed.
 */
import { createHash } from "node:crypto";
import { openHttpSender } from "../../../relay/senders/http/http-sender.ts";
import type { Sender } from "../../../relay/senders/sender.ts";
import { createGuard } from "../../../relay/senders/http/guard.ts";
import { openSigner, signatures, type Signer } from "../../../relay/senders/signing.ts";
import type { Exchange } from "../../../relay/model/types.ts";
import { verbatim } from "./verbatim.ts";

/** The fields of the envelope that are used here. */
export interface LiveEvent {
  id: string;
  type: string;
  occurred_at: string;
  item_id: string | null;
  data: {
    webhook_type?: string | null;
    webhook_code?: string | null;
    body_base64?: string | null;
    tokens_cut?: boolean;
    verification?: { jwt: string; body_sha256: string } | null;
  };
}

interface ForwarderOptions {
  url: string;
  /** `whsec_…` or `whsk_…` */
  secret: string;
  /** only Plaid's webhooks, as Plaid sent them */
  original: boolean;
}

/** The developer may name any address. */
const ANYWHERE = ["0.0.0.0/0", "::/0"];
/** The default of a destination. */
const TIMEOUT_MS = 15_000;

interface Payload {
  body: Buffer;
  headers: Record<string, string>;
}

export class Forwarder implements AsyncDisposable {
  readonly #sender: Sender;
  readonly #signer: Signer;
  readonly #original: boolean;

  /** @throws TartanError `invalid_request` when the secret is malformed */
  constructor({ url, secret, original }: ForwarderOptions) {
    this.#signer = openSigner(secret.startsWith("whsk_") ? "v1a" : "v1", secret);
    this.#original = original;
    const guard = createGuard({ allow: ANYWHERE });
    this.#sender = openHttpSender({ url, ca: null, timeoutMs: TIMEOUT_MS, concurrency: 1, guard });
  }

  /** @returns the exchange; null for an event that is not forwarded, such as one without an original */
  async forward(text: string, signal: AbortSignal): Promise<Exchange | null> {
    const event = JSON.parse(text) as LiveEvent;
    const payload = this.#original ? originalOf(event, text) : { body: Buffer.from(text), headers: {} };
    if (payload === null) return null;
    const timestamp = Math.floor(Date.now() / 1000);
    const headers = {
      "content-type": "application/json",
      "user-agent": "Tartan",
      "webhook-id": event.id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatures([this.#signer], event.id, timestamp, payload.body),
      "tartan-event-type": event.type,
      "tartan-attempt": "1",
      ...payload.headers,
    };
    return this.#sender.send({ headers, body: payload.body, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender[Symbol.asyncDispose]();
  }
}

/** The webhook's own bytes; null if they are not those that Plaid signed, for example because tokens were cut out. */
export function originalOf({ data }: LiveEvent, text: string): Payload | null {
  if (!data.verification) return null;
  const written = data.body_base64 ? Buffer.from(data.body_base64, "base64") : verbatim(text, ["data", "webhook"]);
  if (written === null) return null;
  const body = Buffer.from(written);
  const sha256 = createHash("sha256").update(body).digest("hex");
  if (sha256 !== data.verification.body_sha256) return null;
  return { body, headers: { "plaid-verification": data.verification.jwt } };
}
