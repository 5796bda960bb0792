/** What both paths of the intake work with, and what they answer. */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Directory, KnownIntegration } from "../integrations/directory.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Accept } from "../journal/accept.ts";
import type { Refusals } from "../journal/refusals.ts";
import type { Logger } from "../logger.ts";
import type { KeySource } from "../plaid/verify.ts";

export interface ReceiverDeps {
  database: Database;
  vault: Vault;
  directory: Pick<Directory, "find">;
  keys: KeySource;
  accept: Pick<Accept, "accept" | "problem">;
  refusals: Pick<Refusals, "record">;
  clock: Clock;
  logger: Logger;
  /** whether a webhook of this type and code changes something mirrored of this kind of subject; null: of any kind */
  touches(kind: string | null, type: string | null, code: string | null): boolean;
  /** addresses or CIDR ranges that may post as Plaid; `plaid` stands for Plaid's four; empty: anyone */
  allowedSources: readonly string[];
}

/** One request, its body as it came. */
export interface Arrival {
  integration: KnownIntegration;
  body: Buffer;
  /** who sent it, behind the trusted proxies */
  remoteAddress: string;
  /** when its last byte had arrived */
  receivedAt: Date;
}

export interface Taken {
  /** UUID of the journaled webhook */
  id: string;
  duplicate: boolean;
}
