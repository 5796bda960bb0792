/**
 * The health of one destination while this process holds it: what each attempt makes of it, and what of it has to be kept.
 * What changes how the destination is treated is kept with the attempt that changed it; a success that changes nothing is kept
 * within KEEP_MS, so that a busy destination does not cost a write for each.
 */
import type { NewEvent } from "../../events/events.ts";
import type { OpenDestination } from "../model/types.ts";
import { admission, afterAttempts, halfOpened, heldUntil, relieved, type Health } from "./circuit-breaker.ts";
import { aboutDestination } from "./operator-events.ts";
import type { Verdict } from "./classification.ts";

const KEEP_MS = 5000;

export interface HealthJudgement {
  events: NewEvent[];
  /** why the destination is to be disabled */
  disable: string | null;
}

export class DestinationHealth {
  readonly #now: () => number;
  #health: Health;
  #kept: Health;
  #keptAt = Number.NEGATIVE_INFINITY;

  /** @param now the database's time, in milliseconds since 1970 */
  constructor(health: Health, now: () => number) {
    this.#health = health;
    this.#kept = health;
    this.#now = now;
  }

  get probing(): boolean {
    return this.#health.breaker === "half_open";
  }

  /** For how long nothing may be sent; 0 when something may. A breaker whose time is over lets one through. */
  heldMs(): number {
    const now = this.#now();
    const admitted = admission(this.#health, new Date(now));
    if (admitted === "none") return (this.#health.hold_until?.getTime() ?? now) - now;
    if (admitted === "probe" && !this.probing) this.#health = halfOpened(this.#health);
    return 0;
  }

  /** Takes an attempt into account, which ended just now. */
  judge(verdict: Verdict, destination: OpenDestination): HealthJudgement {
    const now = this.#now();
    const before = this.#health;
    const result = { failed: verdict.unhealthy, at: new Date(now), cause: verdict.cause };
    const { health, events } = afterAttempts(before, [result], destination);
    this.#health = verdict.holdMs === null ? health : heldUntil(health, new Date(now + verdict.holdMs));
    // What was under way may say so too; it is told once, and nothing more is sent from now on.
    const asked = destination.disabled ? null : verdict.disable;
    return {
      events: aboutDestination(destination.id, before, this.#health, events, asked, destination),
      disable: asked ?? (events.includes("disabled") ? "failing" : null),
    };
  }

  /** @param all whether to end a wait that the receiver asked for, too */
  relieve(all: boolean): void {
    this.#health = relieved(this.#health, all);
  }

  /** In how many milliseconds something has to be kept; Infinity when all is kept. */
  keepInMs(): number {
    if (this.#health === this.#kept) return Infinity;
    return matters(this.#kept, this.#health) ? 0 : this.#keptAt + KEEP_MS - performance.now();
  }

  /** What has to be kept now; null where it was kept or can wait. The caller keeps it. */
  toKeep(): Health | null {
    return this.keepInMs() > 0 ? null : this.takeAll();
  }

  /** All that was not kept, whether it can wait or not. */
  takeAll(): Health | null {
    if (this.#health === this.#kept) return null;
    this.#kept = this.#health;
    this.#keptAt = performance.now();
    return this.#health;
  }
}

/** Whether a restart with `before` would treat the destination in another way than with `after`. */
function matters(before: Health, after: Health): boolean {
  return (
    before.breaker !== after.breaker ||
    before.failing_since?.getTime() !== after.failing_since?.getTime() ||
    before.failures !== after.failures ||
    before.warned !== after.warned ||
    before.hold_until?.getTime() !== after.hold_until?.getTime()
  );
}
