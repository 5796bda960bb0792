/**
 * The health of one destination while this process leases it: applies the results of attempts, and decides when the health has
 * to be stored. A change in how the destination is treated is stored with the attempt that caused it. A success that changes
 * nothing is stored within KEEP_MS, so that a busy destination does not cost a write for each success.
 */
import type { NewEvent } from "../../events/events.ts";
import type { LoadedDestination } from "../model/types.ts";
import { admission, afterAttempts, halfOpened, heldUntil, resetHealth, type Health } from "./circuit-breaker.ts";
import type { Classification } from "./classification.ts";
import { destinationEvents } from "./operator-events.ts";

const KEEP_MS = 5000;

export interface HealthChange {
  events: NewEvent[];
  /** why the destination has to be disabled; null: it need not be */
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

  /** For how long nothing may be sent; 0: send now. An open circuit whose time is over becomes half open, for one probe. */
  heldMs(): number {
    const now = this.#now();
    const admitted = admission(this.#health, new Date(now));
    if (admitted === "none") return (this.#health.hold_until?.getTime() ?? now) - now;
    if (admitted === "probe" && !this.probing) this.#health = halfOpened(this.#health);
    return 0;
  }

  /** Applies the classification of an attempt that ended just now. */
  apply(classification: Classification, destination: LoadedDestination): HealthChange {
    const now = this.#now();
    const before = this.#health;
    const result = { failed: classification.unhealthy, at: new Date(now), cause: classification.cause };
    const { health, events } = afterAttempts(before, [result], destination);
    this.#health = classification.holdMs === null ? health : heldUntil(health, new Date(now + classification.holdMs));
    // Other attempts under way may ask for it too. One event is enough, and nothing more is sent from now on.
    const asked = destination.disabled ? null : classification.disable;
    return {
      events: destinationEvents(destination.id, before, this.#health, events, asked, destination),
      disable: asked ?? (events.includes("disabled") ? "failing" : null),
    };
  }

  /** @param all also ends a wait that the receiver asked for */
  reset(all: boolean): void {
    this.#health = resetHealth(this.#health, all);
  }

  /** In how many milliseconds the health has to be stored; Infinity when it is. */
  keepInMs(): number {
    if (this.#health === this.#kept) return Infinity;
    return matters(this.#kept, this.#health) ? 0 : this.#keptAt + KEEP_MS - performance.now();
  }

  /** The health to store now; null where it is stored or can wait. The caller stores it. */
  toKeep(): Health | null {
    return this.keepInMs() > 0 ? null : this.takeUnkept();
  }

  /** The health if it is not stored, whether that can wait or not. The caller stores it. */
  takeUnkept(): Health | null {
    if (this.#health === this.#kept) return null;
    this.#kept = this.#health;
    this.#keptAt = performance.now();
    return this.#health;
  }
}

/** Whether a worker that loads `before` would treat the destination differently than one that loads `after`. */
function matters(before: Health, after: Health): boolean {
  return (
    before.breaker !== after.breaker ||
    before.failing_since?.getTime() !== after.failing_since?.getTime() ||
    before.failures !== after.failures ||
    before.warned !== after.warned ||
    before.hold_until?.getTime() !== after.hold_until?.getTime()
  );
}
