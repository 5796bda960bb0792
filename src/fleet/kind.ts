/**
 * What a kind of fleet job is: a file in kinds/ with a `Kind`, listed in kinds/index.ts, and a function beside it that creates jobs of
 * it. runner.ts does all the rest: leases, pace, batches, retries, progress. A member of a job is an item.
 *
 *   queued ──begun, as the pace admits──▶ work() ──goOn──▶ following ──when it is due──▶ work()
 *     ▲                                    │ │ └──waitFor──▶ outstanding ──arrived() has an outcome──▶ …
 *     │                                    │ │                   └──its time is over──▶ failed (overdue)
 *     ├──a failure that passes: later──────┤ └──end──▶ done
 *     └──"retry" by an operator── failed ◀─┘ fail, or another failure
 *
 * - Which members: `createFleetJob` (jobs.ts) gets a statement that yields `integration_id`, `item_id` and `details` (jsonb).
 * - What to do with one: `work`. It runs outside of any transaction, and again after a crash at any instant: repeating it must be
 *   harmless. What a repetition must not lose, such as the value that is about to be replaced, it stores first with `member.note`.
 * - What to wait for: `work` returns `waitFor(…)`, and `arrived` looks at outstanding members after half a second, later every 30 s.
 * - How many at once: `room`, where less is wanted than the pace and the runner's own bound admit.
 *
 * A PlaidError that passes (retry class `backoff`) is retried with a growing pause, eight times; so is `Limited`, without a count. Any
 * other PlaidError or TartanError fails the member with the error's code as its cause. Other errors are logged and repeated.
 */
import type { Clock } from "../clock.ts";
import type { Together } from "../database/together.ts";
import type { Database } from "../database/types.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Logger } from "../logger.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { FleetKind, MemberPhase } from "../model/statuses.ts";
import type { PlaidClient } from "../plaid/client.ts";
import type { Limiter } from "../sync/limiter.ts";

/** What a member's row holds for its kind, as JSON; at most 16 KiB. No token, and nothing that is masked. */
export type Details = Readonly<Record<string, unknown>>;

export interface Member {
  /** its place in the job */
  n: number;
  integrationId: string;
  itemId: string;
  /** one of the kind's `states` */
  state: string;
  /** failures in a row that passed */
  attempts: number;
  details: Details;
}

export interface WorkedMember extends Member {
  /** Stores details (they join those there are) before `work` goes on. @throws where this process no longer holds the job */
  note(details: Details): Promise<void>;
}

/** The job, and all that its kind may need. */
export interface Context {
  job: { id: string; integrationId: string | null; asked: Readonly<Record<string, unknown>> };
  database: Database;
  directory: Directory;
  vault: Vault;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  logger: Logger;
  /** Plaid's limits, shared with sync */
  limiter: Limiter;
  /** joins the statements of members that are worked on at once */
  together: Together;
  /** sync runs at once in one process */
  syncConcurrency: number;
  /** aborts when the process stops or loses the job */
  signal: AbortSignal;
}

/** What became of a member; made by the functions below. */
export interface Outcome {
  state: string;
  phase: MemberPhase;
  /** when it is worked on again */
  inSeconds?: number;
  /** outstanding: how long at most */
  forSeconds?: number;
  /** outstanding: the cause of the failure when that time is over */
  overdue?: string;
  cause?: string;
  /** join those there are */
  details?: Details;
}

export const FAILED = "failed";

/** `work` is called again, without a wait for the pace. */
export const goOn = (state: string, details: Details = {}, inSeconds = 0): Outcome => ({
  state,
  phase: "following",
  inSeconds,
  details,
});

/** What is waited for hardly ever arrives at once, and each look costs a write. */
const FIRST_LOOK_SECONDS = 0.5;

/** The member is outstanding until `arrived` has an outcome for it; after `forSeconds` it fails with the cause `overdue`. */
export const waitFor = (
  state: string,
  { forSeconds, overdue }: { forSeconds: number; overdue: string },
  details: Details = {},
): Outcome => ({ state, phase: "outstanding", inSeconds: FIRST_LOOK_SECONDS, forSeconds, overdue, details });

export const end = (state: string, details: Details = {}): Outcome => ({ state, phase: "done", details });

/** `cause` is a code of Plaid's, of errors.ts or of the kind; failures are grouped by it. */
export const fail = (cause: string, details: Details = {}): Outcome => ({
  state: FAILED,
  phase: "failed",
  cause,
  details,
});

export interface Kind {
  readonly name: FleetKind;
  /** All states in their order, each with what it means. The first is that of new members and of failed ones that are retried. */
  readonly states: Readonly<Record<string, string>>;
  /** the states of members that the job changed something for; `changed` of the job counts them */
  readonly changes: readonly string[];
  /** causes of its own: what is wrong and what to do next */
  readonly causes: Readonly<Record<string, { message: string; next_step: string | null }>>;
  /** members that are begun in a minute, where the request does not say */
  readonly perMinute: number;
  /** an item may be an unfinished member of one job of the kind only */
  readonly exclusive: boolean;
  work(context: Context, member: WorkedMember): Promise<Outcome>;
  /** The outcomes of those outstanding members, at most 500, for which something arrived; by `n`. */
  arrived?(context: Context, members: readonly Member[]): Promise<ReadonlyMap<number, Outcome>>;
  /** How many more may be begun now, while `unfinished` are begun and not finished. */
  room?(context: Context, unfinished: number): Promise<number>;
}
