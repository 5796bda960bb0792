/**
 * The types that the files of sync/ share: a claim, the tasks of a run, and the outcome of each resource.
 */
import type { ItemStatus } from "../model/statuses.ts";
import type { Changes, Page, Reading } from "../mirror/types.ts";
import type { RetryClass } from "../plaid/errors.ts";
import type { Resource } from "../resources/types.ts";
import type { Since } from "./since.ts";

/** The sync status of a subject. */
export type Status = ItemStatus;

/** A subject that this worker leases. */
export interface Claim {
  integrationId: string;
  kind: string;
  id: string;
  leaseToken: string;
  /** of the latest mark at the claim; a newer one at the end means that there is more to do */
  generation: number;
  /** UUID; null when no webhook waits */
  oldestUnserved: string | null;
  /** requests of marks and earlier runs besides those of the webhooks */
  requested: readonly string[];
  status: Status;
  /** failed runs in a row before this one */
  attempts: number;
  claimedAt: Date;
}

/** One resource to read. */
export interface Task {
  resource: Resource;
  /** from the start, without the cursor */
  full: boolean;
  /** requested by its own name or its own webhook, not only as one of all */
  explicit: boolean;
  /** why it is read from the start: the ids of webhooks, and ON_REQUEST for another request */
  fullFor?: readonly string[];
  /** its rows are compared with the mirror's before they are applied */
  compare?: boolean;
}

export const ON_REQUEST = "request";

/** The state of a page loop that has to wait. Its pages are staged. */
export interface PausedLoop {
  /** null: it began at the start, so rows that it lacks are gone */
  firstCursor: string | null;
  nextCursor: string;
  pages: readonly Page[];
  readWith: string;
  /** the webhooks that request a full reading and waited when it began */
  fullFor: readonly string[];
  /** null: in this run */
  begunAt: Date | null;
}

/** A loop that an earlier run left. */
export interface StoredLoop extends PausedLoop {
  /** under which its pages are staged */
  leaseToken: string;
  /** of the subject in the run that left it; none where that run could not see all webhooks that waited */
  generation: number;
  /** the webhooks that waited when that run had ended, as `digestOf` writes them */
  waiting: string;
  /** its pages are not too old to be used */
  fresh: boolean;
}

/** Why a resource could not be read; `limited` is our own rate limit, not an error. */
export interface Failure {
  class: RetryClass | "limited";
  errorType: string;
  errorCode: string;
  /** Plaid's `error_code_reason` */
  reason?: string;
  message: string;
  /** not sooner than this, in milliseconds */
  retryInMs?: number;
}

export type Outcome =
  | {
      task: Task;
      read: Reading;
      cursor: string | null;
      root: Record<string, unknown> | null;
      /** Plaid has all of its history */
      complete: boolean;
      /** read from the start while Plaid is still loading history, so that it does not show which rows are gone */
      partial?: boolean;
      /** the options that shaped the rows, where there are any; see CursorFetch */
      readWith?: string;
      /** for a comparison, what changed at Plaid since the stored cursor; null: Plaid cannot tell */
      since?: Since | null;
    }
  | {
      task: Task;
      failure: Failure;
      /** its pages so far are kept, and the next run requests the page that failed */
      paused?: PausedLoop;
      /** it came further than the run before */
      progressed?: boolean;
      /** it was not requested: the failure is that of another resource that it needs */
      unasked?: true;
    }
  /** the subject does not have the product */
  | { task: Task; skipped: true };

/** The decision of a run: the next state of its subject. */
export interface Decision {
  outcome: string;
  status: Status;
  attempts: number;
  /** due again in this many milliseconds, null when nothing is left to do */
  dueInMs: number | null;
  /** marks do not make it due before this many milliseconds have passed */
  holdMs: number | null;
  /** requests of the next run besides those of its webhooks */
  pending: readonly string[];
  /** names of resources whose webhooks still wait */
  retried: ReadonlySet<string>;
  error: LastError | null;
  /** Plaid no longer has the subject: all of its rows are removed */
  gone: boolean;
}

/** sync.subjects.last_error */
export interface LastError {
  class: string;
  error_type: string;
  error_code: string;
  message: string;
  /** what to do about it, in plain words; null where it goes away by itself */
  next_step?: string | null;
  resource?: string;
  at: string;
}

/** The summary of a run: in sync.runs and on every webhook that it served. */
export interface UpdateInfo {
  outcome: string;
  counts?: Record<string, Changes>;
  cursor?: { from: string | null; to: string | null };
  pages?: number;
  duration_ms?: number;
  error?: LastError;
  [field: string]: unknown;
}
