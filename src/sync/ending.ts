/** The end of a run: all that its commit needs to know. */
import type { WaitingWebhook } from "../journal/served.ts";
import type { Applied, Scope } from "../mirror/types.ts";
import type { Absence } from "./cursor-queries.ts";
import type { Loops } from "./loops.ts";
import type { Enabled } from "./plan.ts";
import type { KnownNotices } from "./notices.ts";
import type { Claim, Decision, Outcome, UpdateInfo } from "./types.ts";

/** The state of a resource before the run. */
export interface ResourceStatus {
  cursor: string | null;
  rows: number;
  /** its first reading has ended, including the history that Plaid brought later */
  complete: boolean;
  /** the options with which its rows were read */
  readWith: string;
  /** null where the subject has the resource, as far as that is known */
  absent: Absence | null;
  /** its rows were equal to Plaid's then; null: it was never read to its end */
  verifiedAt: Date | null;
}

export interface Ending {
  claim: Claim;
  scope: Scope;
  /** null where the integration is not known */
  environment: string | null;
  /** the billed resources that the integration enables */
  enabled: Enabled;
  /** what its user has withdrawn is erased */
  erasesRevoked: boolean;
  /** the sealed token, if Plaid had not answered it with this subject before */
  unconfirmed: Buffer | null;
  outcomes: readonly Outcome[];
  decision: Decision;
  /** as they were when the run began */
  notices: KnownNotices;
  statuses: ReadonlyMap<string, ResourceStatus>;
  /** those that waited when the run began */
  loops: Loops;
  webhooks: readonly WaitingWebhook[];
  /** those of `webhooks` that this run serves */
  served: readonly WaitingWebhook[];
  /** those that came before the token of an item that this run has read first, and what they announced with it */
  early: readonly WaitingWebhook[];
  /** the bodies of those that announce something to the subject's own resource, by id */
  announcements: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  /** those that touch nothing mirrored */
  idle: readonly WaitingWebhook[];
  /** milliseconds since the run began */
  tookMs: () => number;
}

/** A run as it was written. */
export interface Written {
  runId: string;
  info: UpdateInfo;
  /** by table */
  applied: ReadonlyMap<string, Applied>;
  /** the subject's own row, where Plaid did not return it and its error is new */
  noted: Record<string, unknown> | null;
  /** since when all of the subject's resources are known to be equal; undefined: unchanged */
  verifiedAt: Date | null | undefined;
}

/** The webhooks that still wait for what this run could not read. */
export function unserved({ webhooks, served, idle }: Ending): WaitingWebhook[] {
  const done = new Set([...served, ...idle].map(({ id }) => id));
  return webhooks.filter(({ id }) => !done.has(id));
}
