/**
 * Refusals are answered a few at a time, so that a flood of them does not make genuine webhooks wait: a genuine one passes the event loop
 * four times (its request, its signature, its commit, its answer), and each time waits for all requests that arrived with it.
 *
 *   refused → fewer than PER_TURN in this turn of the event loop → answered
 *           → else waits, in order, for a later turn; beyond WAITING_MAX it is answered at once
 *
 * A sender's connection brings no further request before its answer, so this also bounds what a turn reads.
 */

/** About half a millisecond of work. */
const PER_TURN = 8;
/** What waits keeps its connection's buffers. */
const WAITING_MAX = 1000;

export class RefusalTurns {
  readonly #waiting: (() => void)[] = [];
  #inTurn = 0;
  #isScheduled = false;

  /** Resolves when the caller may answer; undefined: at once. */
  next(): Promise<void> | undefined {
    this.#schedule();
    if (this.#waiting.length >= WAITING_MAX) return undefined;
    // While some wait, this turn is full.
    if (this.#inTurn < PER_TURN) {
      this.#inTurn += 1;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const next = this.#waiting.splice(0, PER_TURN);
      this.#inTurn = next.length;
      for (const resolve of next) resolve();
      if (next.length > 0) this.#schedule();
    });
  }
}
