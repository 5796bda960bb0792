/**
 * The words that the files of sync/ share: a claim, what a run is to do, and what came of each resource.
 */
import type { ItemStatus } from "../model/statuses.ts";
import type { Changes, Page, Reading } from "../mirror/types.ts";
import type { RetryClass } from "../plaid/errors.ts";
import type { Resource } from "../resources/types.ts";

/** How the sync of a subject stands. */
export type Status = ItemStatus;

/** A subject that this worker holds for as long as its lease is renewed. */
export interface Claim {
  integrationId: string;
  kind: string;
  id: string;
  leaseToken: string;
  /** of the latest mark when it was claimed; a newer one at the end means that there is more to do */
  generation: number;
  /** UUID; null when no webhook waits */
  oldestUnserved: string | null;
  /** what marks and earlier runs request besides what the webhooks touch and request */
  requested: readonly string[];
  status: Status;
  /** failed runs in a row before this one */
  attempts: number;
  claimedAt: Date;
}

/** One resource to be brought up to date. */
export interface Task {
  resource: Resource;
  /** from the start, whatever the cursor */
  full: boolean;
  /** asked for by its own name or its own webhook, not only as one of all */
  explicit: boolean;
  /** why it is read from the start: the ids of webhooks, and ON_REQUEST where another request asks for it */
  fullFor?: readonly string[];
}

export const ON_REQUEST = "request";

/** Where a page loop stands that has to wait. Its pages are staged. */
export interface PausedLoop {
  /** null: it began at the start, so what it lacks is gone */
  firstCursor: string | null;
  nextCursor: string;
  pages: readonly Page[];
  readWith: string;
  /** the webhooks that asked for everything to be read and were there when it began */
  fullFor: readonly string[];
  /** null: in this run */
  begunAt: Date | null;
}

/** One that an earlier run left. */
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

/** Why a resource could not be read; `limited` is our own pacing, not an error. */
export interface Failure {
  class: RetryClass | "limited";
  errorType: string;
  errorCode: string;
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
      /** Plaid has no history of it that is still to come */
      complete: boolean;
      /** read from the start while Plaid has history still to come, so that it does not say which rows are gone */
      partial?: boolean;
      /** the options that shaped the rows, where there are any; see CursorFetch */
      readWith?: string;
    }
  | {
      task: Task;
      failure: Failure;
      /** its pages so far are kept, and the next run asks for the page that failed */
      paused?: PausedLoop;
      /** it came further than the run before */
      progressed?: boolean;
      /** it was not asked for: the failure is that of another resource, without which it makes no sense to ask */
      unasked?: true;
    }
  /** the subject does not have the product */
  | { task: Task; skipped: true };

/** What becomes of a subject when its run ends. */
export interface Decision {
  outcome: string;
  status: Status;
  attempts: number;
  /** due again in so many milliseconds, null when nothing is left to do */
  dueInMs: number | null;
  /** marks do not make it due before so many milliseconds have passed */
  holdMs: number | null;
  /** what the next run is to do besides what its webhooks touch */
  pending: readonly string[];
  /** names of resources whose webhooks go on waiting */
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
  /** what to do about it, in plain words; null where it passes by itself */
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
