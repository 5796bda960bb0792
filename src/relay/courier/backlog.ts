/**
 * What a courier has before it: deliveries that were fetched and wait for their turn, in the order in which they are to be
 * sent. In `parallel` order any may go beside any; in `per_item` order each item has a lane, of which one goes at a time, and
 * the next only when the one before is recorded, so that a crash cannot turn them round.
 *
 * A lane: not here ──fetched──▶ its first is ready ──taken──▶ under way ──delivered or given up──▶ its next is ready … ──▶ not here
 *                                                                └──to be retried──▶ not here until it is due
 */
import type { Queryable } from "../../database/types.ts";
import { FETCH_DUE, FETCH_LANES, LANES_LOOKED_AT } from "../queries/couriers.ts";
import type { EventSource, Form } from "../types.ts";

/** A delivery with all that sending it needs. */
export interface Fetched extends Omit<EventSource, "id" | "type" | "bytes"> {
  id: string;
  eventId: string;
  eventType: string;
  lane: string | null;
  form: Form;
  attempts: number;
  tries: number;
  jobId: string | null;
  /** what is sent, if that was made before */
  body: Buffer | null;
  bodySha256: Buffer | null;
  /** the expression that makes the body */
  transform: string | null;
  /** of the event; null where a body was made before, and where retention dropped the event */
  bytes: Buffer | null;
}

type LaneRow = Fetched & { due: boolean; looked: number | null; last: string | null; id: string | null };

/** How many of a lane are fetched at once. */
const OF_A_LANE = 8;
/** What was fetched and could not be sent for so long is fetched anew: it may have been cancelled meanwhile. */
const STALE_MS = 5000;

export class Backlog {
  readonly #q: Queryable;
  readonly #destinationId: string;
  #ordered: boolean;
  #ready: Fetched[] = [];
  #fetchedAt = 0;
  /** deliveries that are ready or under way */
  readonly #known = new Set<string>();
  /** lanes of which one is ready or under way, with those that come next */
  readonly #lanes = new Map<string, Fetched[]>();
  /** whether there may be something that was not fetched */
  #mayBeMore = true;
  /** the lane at which the look round ended; "" at its start */
  #lookedTo = "";
  /** news came while the look round was under way */
  #again = false;

  constructor(q: Queryable, destinationId: string, ordered: boolean) {
    this.#q = q;
    this.#destinationId = destinationId;
    this.#ordered = ordered;
  }

  /** Something may have become due. */
  poke(): void {
    this.#mayBeMore = true;
    this.#again = true;
  }

  /** Forgets what is ready; what is under way stays known. */
  drop(ordered: boolean): void {
    for (const { id, lane } of this.#ready) {
      this.#known.delete(id);
      if (lane !== null) this.#lanes.delete(lane);
    }
    for (const [lane] of this.#lanes) this.#lanes.set(lane, []);
    this.#ready = [];
    this.#ordered = ordered;
    this.#lookedTo = "";
    this.poke();
  }

  /** The next delivery to be sent, fetching up to `count` when none is ready; null when nothing is due. */
  async next(count: number): Promise<Fetched | null> {
    if (this.#ready.length > 0 && performance.now() - this.#fetchedAt > STALE_MS) this.drop(this.#ordered);
    while (this.#ready.length === 0 && this.#mayBeMore) await (this.#ordered ? this.#lookRound() : this.#fetch(count));
    return this.#ready.shift() ?? null;
  }

  /** Puts back what could not be sent just now. */
  unshift(delivery: Fetched): void {
    this.#ready.unshift(delivery);
  }

  /** The delivery is no longer under way. `goOn`: it is finished, so the next of its lane may go. */
  done({ id, lane }: Fetched, goOn: boolean): void {
    this.#known.delete(id);
    if (lane === null) return;
    const next = goOn ? this.#lanes.get(lane)?.shift() : undefined;
    if (next) {
      this.#known.add(next.id);
      this.#ready.push(next);
      return;
    }
    this.#lanes.delete(lane);
    if (goOn) this.poke();
  }

  async #fetch(count: number): Promise<void> {
    this.#mayBeMore = false;
    const { rows } = await this.#q.query<Fetched>(FETCH_DUE, [this.#destinationId, [...this.#known], count]);
    this.#take(rows);
    if (rows.length === count) this.#mayBeMore = true;
  }

  /** One step of the way round all lanes. It ends when a whole round since the last news has found nothing. */
  async #lookRound(): Promise<void> {
    if (this.#lookedTo === "") this.#again = false;
    const values = [this.#destinationId, this.#lookedTo, [...this.#lanes.keys()], OF_A_LANE];
    const { rows } = await this.#q.query<LaneRow>(FETCH_LANES, values);
    const [first] = rows;
    const whole = (first?.looked ?? 0) < LANES_LOOKED_AT;
    this.#lookedTo = whole ? "" : (first?.last ?? "");
    const heads: Fetched[] = [];
    const closed = new Set<string>();
    for (const row of rows) {
      if (row.id === null || row.lane === null || closed.has(row.lane)) continue;
      const queue = this.#lanes.get(row.lane);
      // Whatever is not due holds up those behind it.
      if (!row.due || this.#known.has(row.id)) closed.add(row.lane);
      else if (queue) queue.push(row);
      else {
        this.#lanes.set(row.lane, []);
        heads.push(row);
      }
    }
    this.#take(heads);
    this.#mayBeMore = !whole || this.#again;
  }

  #take(rows: readonly Fetched[]): void {
    for (const row of rows) this.#known.add(row.id);
    this.#ready.push(...rows);
    this.#fetchedAt = performance.now();
  }
}
