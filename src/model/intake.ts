/**
 * The port through which everything that arrives becomes durable. An engine keeps arrivals in Postgres, in a file, or in a queue;
 * the receiver, the API and the CLI know this file only.
 *
 * Every engine promises:
 * - When `accept` resolves, the arrival survives the loss of the process and of the machine's power, and its work is queued.
 * - When `accept` rejects, the sender may send the arrival again: it is then stored at most once where it carries a JWT.
 * - The same JWT again is a duplicate: it yields the id of the first, whichever process accepted that, proven or not.
 * - A copy of a JWT whose signature was changed keeps no genuine webhook out.
 * - An arrival that the engine cannot hold fails alone.
 * - The queue is bounded in number and in bytes; when it is full, `accept` rejects with `overloaded`.
 * - Disposing settles every call that waits.
 */
import { hash } from "node:crypto";
import type { Accepted, NewWebhook, Subject, TokenIdentity } from "./webhook.ts";

export interface ArrivedWebhook extends NewWebhook {
  arrival: "webhook";
}

/** Your backend, the API or the CLI hands over an item's access token, for a new item or in place of the old token. */
export interface LinkedItem {
  arrival: "linked_item";
  /** UUIDv7 of its webhook; an engine makes one where it is absent */
  id?: string | undefined;
  integrationId: string;
  itemId: string;
  /** in memory only: an engine seals it, under the lock of the sealing key, before anything of it is written */
  accessToken: string;
  /** your identifier of the user; when absent, the known one stays */
  userId?: string | undefined;
  /** the webhook_code that said so; CREATED when absent */
  code?: "CREATED" | "UPDATED" | undefined;
  /** true: everything is read from the start */
  full?: boolean | undefined;
  receivedAt?: Date | undefined;
  /** stored as the webhook's body; generated when absent or when it holds the token */
  body?: Buffer | undefined;
}

/** A genuine webhook that came too late or is dated ahead. Tartan refuses it, and sync checks its subject. */
export interface StaleNotice {
  arrival: "stale_notice";
  integrationId: string;
  token: TokenIdentity;
  subject: Subject | null;
  webhookType: string | null;
  webhookCode: string | null;
}

/**
 * A webhook whose key could not be fetched. All that can be checked without the key holds: the form of its JWT, its time against
 * `receivedAt`, and the hash of its body. The rest is a claim of the sender's, and nothing acts on it until the key proves it.
 */
export interface UnprovenWebhook {
  arrival: "unproven_webhook";
  /** UUIDv7 from `newUuid`; the webhook keeps it when it is proven */
  id: string;
  integrationId: string;
  /** exactly what arrived */
  body: Buffer;
  /** the `Plaid-Verification` header as it came */
  jwt: string;
  /** the JWT's identity once it is proven; until then `unprovenIdentity` is */
  tokenSha256: Buffer;
  /** the `kid` that it claims */
  keyId: string;
  /** the `iat` that it claims */
  claimedAt: Date;
  receivedAt: Date;
  /** the sender's; null where it is not known */
  remoteAddress: string | null;
  /** proven webhooks came from this address recently, so it may use the whole bound and not only a share of it */
  vouched: boolean;
}

/**
 * What an unproven webhook is known by, 32 bytes: all of its JWT. The identity of a proven one leaves out half of the signature
 * (token.ts). A copy with another half has the same, so while nobody can tell the two apart both are kept.
 */
export const unprovenIdentity = ({ integrationId, jwt }: Pick<UnprovenWebhook, "integrationId" | "jwt">): Buffer =>
  hash("sha256", integrationId + jwt, "buffer");

export type Arrival = ArrivedWebhook | LinkedItem | StaleNotice | UnprovenWebhook;

export interface Linked extends Accepted {
  /** false where the item was known and its token was replaced; true also while the engine cannot know that */
  created: boolean;
}

export interface Intake {
  /**
   * Resolves once the webhook is durable and its work is queued.
   * @throws TartanError `overloaded` or `database_unavailable`, both with `retryAfterSeconds`: the sender must send it again
   */
  accept(arrival: ArrivedWebhook): Promise<Accepted>;
  /** @throws TartanError `not_found` (integration), `invalid_request` naming each invalid field, and as for a webhook */
  accept(arrival: LinkedItem): Promise<Linked>;
  /** @returns the webhook that was accepted with the same JWT; null where there is none and the notice was stored */
  accept(arrival: StaleNotice): Promise<Accepted | null>;
  /**
   * Keeps the webhook in quarantine, until its key proves or refuses it. A JWT that was accepted, proven or not, is a duplicate.
   * @throws TartanError `quarantine_full` with `retryAfterSeconds` where the bound of its integration is reached; and as for a webhook
   */
  accept(arrival: UnprovenWebhook): Promise<Accepted>;
  /** Why arrivals cannot be stored just now, in one sentence; null while they can. */
  problem(): string | null;
}

/** What became of an arrival that was restored. */
export type RestoreResult =
  /** stored now; `id` is that of its webhook, null for a stale notice */
  | { outcome: "stored"; id: string | null }
  /** stored before, by its id or its JWT; `id` is that of the first */
  | { outcome: "passed_over"; id: string | null }
  /** this engine cannot store it: Postgres refuses a value, or its integration is not there any more */
  | { outcome: "refused"; error: unknown }
  /** another transaction is storing its JWT and has not ended, so it must be restored again; the arrivals behind it are restored */
  | { outcome: "locked" };

/** An engine that takes over what another engine has acknowledged. */
export interface Restoring {
  /**
   * Stores arrivals that another engine acknowledged earlier, in their order. One that is stored already is passed over; one that
   * this engine refuses for its data is reported, alone. A repeat, after a failure too, stores nothing twice.
   * @returns one result for each arrival, in their order
   * @throws TartanError `overloaded` or `database_unavailable`: some may be stored, and all must be restored again
   */
  restore(arrivals: readonly Arrival[]): Promise<RestoreResult[]>;
}
