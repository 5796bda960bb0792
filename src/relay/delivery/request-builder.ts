/**
 * Packs a delivery: the bytes that are sent, the same at each attempt and each replay, and the headers around them, signed
 * anew each time (https://www.standardwebhooks.com: id, timestamp and body are signed, by every key that has not expired).
 */
import { createHash } from "node:crypto";
import type { Queryable } from "../../database/types.ts";
import { toDeliveryId, toEventId } from "../../model/ids.ts";
import type { Fetched } from "./prefetcher.ts";
import type { Payloads } from "./payloads.ts";
import { turnFor } from "../content/large-work.ts";
import { render } from "../content/body.ts";
import { KEEP_BODY } from "./queries.ts";
import { openSigner, signatures, type Signer } from "../senders/http/signing.ts";
import type { Transforms } from "../content/transform.ts";
import type { EventSource, OpenDestination } from "../model/types.ts";

/** What is sent, but for the headers, which are signed when it is. */
export interface Prepared {
  body: Buffer;
  sha256: Buffer;
}

/** Why there is nothing to send. */
export interface Unpackable {
  cause: string;
  /** the cause in more words; no payload */
  detail: string | null;
}

export class Packer {
  readonly #destination: OpenDestination;
  readonly #signers: readonly { signer: Signer; expiresAt: Date | null }[];
  readonly #transforms: Transforms;
  readonly #payloads: Payloads;

  constructor(destination: OpenDestination, transforms: Transforms, payloads: Payloads) {
    this.#payloads = payloads;
    this.#destination = destination;
    this.#signers = destination.keys.map(({ scheme, secret, expiresAt }) => ({
      signer: openSigner(scheme, secret),
      expiresAt,
    }));
    this.#transforms = transforms;
  }

  /** Reads, transforms and renders what has to be. Null when the signal aborts before there is a body. */
  async prepare(
    q: Queryable,
    fetched: Fetched,
    epoch: number,
    signal: AbortSignal,
  ): Promise<Prepared | Unpackable | null> {
    const delivery = await this.#payloads.load(q, fetched, this.#destination.id, signal);
    if (delivery === null) return null;
    // Rendering, hashing and signing are one piece of work for the event loop.
    await turnFor(delivery.size ?? 0);
    const body = await this.#bodyOf(q, delivery, epoch, signal);
    if (body === null || "cause" in body) return body;
    const sha256 = delivery.bodySha256 ?? createHash("sha256").update(body).digest();
    return { body, sha256 };
  }

  async #bodyOf(
    q: Queryable,
    delivery: Fetched,
    epoch: number,
    signal: AbortSignal,
  ): Promise<Buffer | Unpackable | null> {
    if (delivery.body !== null) return delivery.body;
    if (delivery.bytes === null) return { cause: "payload_gone", detail: null };
    const source = sourceOf(delivery, delivery.bytes);
    if (delivery.form !== "transform") return render(source, delivery.form);
    if (delivery.transform === null) return { cause: "transform_error", detail: "The route is gone." };
    const made = await unlessAborted(
      signal,
      this.#transforms.run(delivery.transform, render(source, "event").toString("utf8")),
    );
    if (made === null) return null;
    if ("cause" in made) return { cause: made.cause, detail: made.message };
    const body = Buffer.from(made.json, "utf8");
    // Kept before it is sent for the first time: every attempt sends the same bytes, whatever becomes of the software.
    await q.query(KEEP_BODY, [delivery.id, body, this.#destination.id, epoch]);
    return body;
  }

  /** The headers of an attempt that is made now. @param now the database's time, by which keys expire */
  headersOf(delivery: Fetched, body: Buffer, now: number): Record<string, string> {
    const signers = this.#signers.filter(({ expiresAt }) => expiresAt === null || expiresAt.getTime() > now);
    const id = toEventId(delivery.eventId);
    const timestamp = Math.floor(Date.now() / 1000);
    return {
      ...this.#destination.headers,
      "content-type": "application/json",
      "user-agent": "Tartan",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatures(
        signers.map(({ signer }) => signer),
        id,
        timestamp,
        body,
      ),
      "tartan-event-type": delivery.eventType,
      "tartan-delivery-id": toDeliveryId(delivery.id),
      "tartan-attempt": String(delivery.attempts + 1),
      ...(delivery.jobId !== null && { "webhook-replay": delivery.jobId }),
      ...(delivery.form === "original" &&
        delivery.verification !== null && { "plaid-verification": delivery.verification }),
    };
  }
}

const sourceOf = ({ eventId, eventType, ...facts }: Fetched, bytes: Buffer): EventSource => ({
  ...facts,
  id: eventId,
  type: eventType,
  bytes,
});

/** What `work` comes to, or null if the signal aborts before. */
const unlessAborted = <T>(signal: AbortSignal, work: Promise<T>): Promise<T | null> =>
  new Promise((resolve, reject) => {
    const abort = () => resolve(null);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
