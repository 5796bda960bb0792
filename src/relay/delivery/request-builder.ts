/**
 * Builds the request of a delivery: the body, which is the same in every attempt and replay, and the headers, which are
 * signed anew each time (https://www.standardwebhooks.com: every key that has not expired signs id, timestamp and body).
 */
import { createHash } from "node:crypto";
import type { Queryable } from "../../database/types.ts";
import { toDeliveryId, toEventId } from "../../model/ids.ts";
import { render, WEBHOOK_RECEIVED } from "../content/body.ts";
import { turnFor } from "../content/large-work.ts";
import type { Transforms } from "../content/transform.ts";
import type { EventSource, LoadedDestination } from "../model/types.ts";
import { openSigner, signatures, type Signer } from "../senders/signing.ts";
import { KEEP_BODY } from "./attempt-queries.ts";
import type { PayloadMemory } from "./payloads.ts";
import type { PrefetchedDelivery } from "./prefetcher.ts";

/** The body of a request. Its headers are built when it is sent. */
export interface RequestBody {
  body: Buffer;
  sha256: Buffer;
}

/** Why no request can be built. */
export interface NoRequest {
  cause: string;
  /** explains the cause; no payload */
  detail: string | null;
}

export class RequestBuilder {
  readonly #destination: LoadedDestination;
  readonly #signers: readonly { signer: Signer; expiresAt: Date | null }[];
  readonly #transforms: Transforms;
  readonly #payloads: PayloadMemory;

  constructor(destination: LoadedDestination, transforms: Transforms, payloads: PayloadMemory) {
    this.#payloads = payloads;
    this.#destination = destination;
    this.#signers = destination.keys.map(({ scheme, secret, expiresAt }) => ({
      signer: openSigner(scheme, secret),
      expiresAt,
    }));
    this.#transforms = transforms;
  }

  /** Loads the payload and renders or transforms it. null: the signal aborted first. */
  async buildBody(
    q: Queryable,
    prefetched: PrefetchedDelivery,
    epoch: number,
    signal: AbortSignal,
  ): Promise<RequestBody | NoRequest | null> {
    const delivery = await this.#payloads.load(q, prefetched, this.#destination.id, signal);
    if (delivery === null) return null;
    // Rendering, hashing and signing run in one turn of the event loop.
    await turnFor(delivery.size ?? 0);
    const body = await this.#bodyOf(q, delivery, epoch, signal);
    if (body === null || "cause" in body) return body;
    const sha256 = delivery.bodySha256 ?? createHash("sha256").update(body).digest();
    return { body, sha256 };
  }

  async #bodyOf(
    q: Queryable,
    delivery: PrefetchedDelivery,
    epoch: number,
    signal: AbortSignal,
  ): Promise<Buffer | NoRequest | null> {
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
    // Stored before the first attempt, so that every attempt sends the same bytes even if a later version transforms differently.
    const of = delivery.eventType === WEBHOOK_RECEIVED ? null : delivery.eventId;
    await q.query(KEEP_BODY, [delivery.id, body, this.#destination.id, epoch, of, delivery.bytes.length]);
    return body;
  }

  /** The headers of an attempt that begins now. @param now the database's time, by which keys expire */
  buildHeaders(delivery: PrefetchedDelivery, body: Buffer, now: number): Record<string, string> {
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

const sourceOf = ({ eventId, eventType, ...facts }: PrefetchedDelivery, bytes: Buffer): EventSource => ({
  ...facts,
  id: eventId,
  type: eventType,
  bytes,
});

/** The result of `work`, or null if the signal aborts first. */
const unlessAborted = <T>(signal: AbortSignal, work: Promise<T>): Promise<T | null> =>
  new Promise((resolve, reject) => {
    const abort = () => resolve(null);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
