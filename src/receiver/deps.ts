/** The ports that the receiver uses; it knows none of their engines. */
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Intake } from "../model/intake.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { Logins } from "../model/listener.ts";
import type { RefusalSink } from "../model/refusal.ts";
import type { KeySource } from "../plaid/verify.ts";

export interface ReceiverDeps {
  intake: Pick<Intake, "accept">;
  directory: Directory;
  keys: KeySource;
  refusals: RefusalSink;
  /** takes what is posted to the URLs of listeners */
  logins: Logins;
  clock: Clock;
  logger: Logger;
  /** addresses or CIDR ranges that may post as Plaid; `plaid` stands for Plaid's four; empty: anyone */
  allowedSources: readonly string[];
}

/** One request with its raw body. */
export interface ReceivedRequest {
  integration: KnownIntegration;
  body: Buffer;
  /** the sender's, behind the trusted proxies */
  remoteAddress: string;
  /** when its last byte arrived */
  receivedAt: Date;
}
