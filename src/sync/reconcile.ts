/**
 * Reconciliation: checks every linked item once in a window, to find changes that no webhook announced or whose webhook did not
 * arrive. All processes together spread the checks over the window; checks use a share
 * of Plaid's limits and never delay sync. What belongs to no item and is free to read (`reconciledDays` of its kind) it makes due once in a
 * window, as evenly.
 *
 *   working ──dispose──▶ stopping: nothing is claimed; running checks are aborted, and repeated when their lease ends
 */
import { randomInt } from "node:crypto";
import type { Database } from "../database/types.ts";
import { claimChecks, planChecks, type Check } from "../integrations/checks.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import { OTHER_KINDS, resourcesOf, subjectKind } from "../resources/index.ts";
import { createLimiter } from "./limiter.ts";
import { checkItem, type CheckDeps, type CheckResult } from "./check.ts";
import { markDue, type SubjectKey } from "./marks.ts";
import { BEGIN_ROUND, QUIET_SUBJECTS } from "./reconcile-queries.ts";

export interface ReconcileOptions extends Pick<CheckDeps, "database" | "directory" | "vault" | "clientFor" | "clock"> {
  logger: Logger;
  /** every linked item is checked once in this many seconds */
  windowSeconds: number;
  /** multiplies Plaid's published rate limits */
  limitFactor: number;
  /** a webhook that Plaid sent less than this ago may still be on its way; 5 minutes, at most half the window */
  graceMs?: number;
  pollMs?: number;
}

/** The part of a client's limits that checks may use. */
const SHARE = 1 / 3;
/** Checks that run at once in one process. */
const LOOKS_MAX = 8;
const GRACE_MS = 5 * 60_000;
const POLL_MS = 1000;
const TROUBLE_PAUSE_MS = 5000;
/** How often in a window all processes together look for subjects that are no items. */
const ROUNDS = 96;
/** How often each process asks in that time whether a round is due. */
const ASKED = 4;
/** So many may always be made due in a round. */
const FEW = 20;

const KINDS = OTHER_KINDS.flatMap((kind) => {
  const { reconciledDays } = subjectKind(kind) ?? {};
  return reconciledDays === undefined ? [] : [{ kind, days: reconciledDays }];
});

/** What Plaid does not bill of a kind of subject. */
const freeOf = (kind: string): string[] =>
  resourcesOf(kind)
    .filter(({ billed }) => billed === undefined)
    .map(({ name }) => name);

/** Makes subjects due that are no items and were not read for the window, if no process has done so in this round. */
async function markQuiet(database: Database, windowSeconds: number): Promise<void> {
  const kinds = [KINDS.map(({ kind }) => kind), KINDS.map(({ days }) => days)];
  await database.transaction(async (tx) => {
    if ((await tx.query(BEGIN_ROUND, [windowSeconds / ROUNDS])).rowCount === 0) return;
    const { rows } = await tx.query<SubjectKey>(QUIET_SUBJECTS, [...kinds, windowSeconds, FEW, ROUNDS]);
    await markDue(
      tx,
      rows.map((row) => ({ ...row, requested: freeOf(row.kind) })),
    );
  });
}

class Reconciler implements AsyncDisposable {
  readonly #options: ReconcileOptions;
  readonly #deps: CheckDeps;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** aborted when a check has ended */
  #ended = new AbortController();
  /** when this process asks whether a round of quiet subjects is due */
  #nextQuiet = 0;
  #working: Promise<void> = Promise.resolve();

  constructor(options: ReconcileOptions) {
    const { database, clock, limitFactor, windowSeconds } = options;
    const { graceMs = Math.min(GRACE_MS, windowSeconds * 500) } = options;
    this.#options = options;
    const limiter = createLimiter(database, clock, limitFactor);
    const share = createLimiter(database, clock, limitFactor * SHARE);
    this.#deps = { ...options, limiter, share, graceMs };
  }

  start(): void {
    this.#working = this.#work();
  }

  async #work(): Promise<void> {
    const { database, clock, logger, windowSeconds, pollMs = POLL_MS } = this.#options;
    while (!this.#stop.signal.aborted) {
      this.#ended = new AbortController();
      try {
        await this.#markQuiet();
        await planChecks(database, windowSeconds);
        const free = LOOKS_MAX - this.#running.size;
        const checks = free > 0 ? await claimChecks(database, windowSeconds, free) : [];
        for (const check of checks) this.#take(check);
        if (checks.length === free && free > 0) continue;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        logger.warn({ error }, "cannot claim items to check; trying again");
        await clock.sleep(TROUBLE_PAUSE_MS, this.#stop.signal);
        continue;
      }
      const wake = this.#running.size === LOOKS_MAX ? [this.#stop.signal, this.#ended.signal] : [this.#stop.signal];
      await clock.sleep(pollMs - randomInt(Math.ceil(pollMs / 4)), AbortSignal.any(wake));
    }
  }

  async #markQuiet(): Promise<void> {
    const { database, clock, windowSeconds } = this.#options;
    if (clock.now() < this.#nextQuiet) return;
    await markQuiet(database, windowSeconds);
    this.#nextQuiet = clock.now() + (windowSeconds * 1000) / ROUNDS / ASKED;
  }

  #take(check: Check): void {
    metrics.checkLagSeconds.set(check.lateSeconds);
    const taken = this.#checkItem(check).finally(() => {
      this.#running.delete(taken);
      this.#ended.abort();
    });
    this.#running.add(taken);
  }

  /** Makes one check; never rejects. */
  async #checkItem(check: Check): Promise<void> {
    const { logger } = this.#options;
    const about = { integration_id: check.integrationId, item_id: check.itemId };
    try {
      this.#report(about, await checkItem(this.#deps, check, this.#stop.signal));
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      metrics.checks.inc({ outcome: "failed" });
      logger.warn({ ...about, error }, "an item could not be checked; trying again later");
    }
  }

  #report(about: Record<string, string>, { outcome, gap, error }: CheckResult): void {
    const { logger } = this.#options;
    metrics.checks.inc({ outcome });
    if (error !== undefined) logger.debug({ ...about, error }, "Plaid did not answer a check; trying again later");
    if (!gap) return;
    if (gap.missed) metrics.gaps.inc({ found: "webhook" });
    if (gap.differs && gap.differs.length > 0) metrics.gaps.inc({ found: "item" });
    if (gap.error) metrics.gaps.inc({ found: "error" });
    logger.info({ ...about, gap }, "an item differs from Plaid and no webhook had said so; it is synced");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("reconciliation stops"));
    await this.#working;
    await Promise.allSettled(this.#running);
  }
}

/** Starts checking items; disposing stops it. */
export function startReconciliation(options: ReconcileOptions): AsyncDisposable {
  const reconciler = new Reconciler(options);
  reconciler.start();
  return reconciler;
}
