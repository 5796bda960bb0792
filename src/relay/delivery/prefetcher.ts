/**
 * What a courier has before it: deliveries that were fetched and wait for their turn, in the order in which they are to be
 * sent. In `parallel` order any may go beside any; in `per_item` order each item has a lane, of which one goes at a time, and
 * the next only when the one before is recorded, so that a crash cannot turn them round.
 *
 * A lane: not here ──fetched──▶ its first is ready ──taken──▶ under way ──delivered or given up──▶ its next is ready … ──▶ not here
 *                                                                └──to be retried──▶ not here until it is due
 */
import type { Queryable } from "../../database/types.ts";
import { FETCH_DUE, FETCH_LANES, FETCH_OF_LANES, LANES_MAX, SETTLE_LANES } from "./queries.ts";
import type { EventSource, Form } from "../model/types.ts";
import type { Payloads } from "./payloads.ts";

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
  /** of the event; null where a body was made before */
  bytes: Buffer | null;
  /**
   * bytes of the payload, which is `body` or else `bytes`; both are null until it is loaded, where it is large or much was
   * fetched beside it. null: the payload is not kept any more
   */
  size: number | null;
}

type DueRow = Fetched & { due: boolean };
/** A lane that was due by relay.ordering_keys, with one of its deliveries if there is one. */
type LaneRow = { ofLane: string } & (DueRow | { id: null });

/** How many of a lane are fetched at once. */
const OF_A_LANE = 8;
/** What was fetched and could not be sent for so long is fetched anew: it may have been cancelled meanwhile. */
const STALE_MS = 5000;

/** A lane of which one is ready or under way. */
interface Lane {
  /** those that come next */
  queue: Fetched[];
  /** there may be more behind them */
  more: boolean;
}

/**
 * Deliveries keep the lane, or the freedom of lanes, under which they were made, so a destination whose ordering was changed
 * has both.
 */
export class Backlog {
  readonly #q: Queryable;
  readonly #destinationId: string;
  readonly #payloads: Payloads;
  #ready: Fetched[] = [];
  #fetchedAt = 0;
  /** deliveries that are ready or under way */
  readonly #known = new Set<string>();
  readonly #lanes = new Map<string, Lane>();
  /** lanes of which there may be more than was fetched */
  readonly #revisit = new Set<string>();
  /** whether all that is due outside the lanes was fetched, but for what became due just now */
  #fetchedOlder = false;
  /** whether there may be something outside the lanes, and in lanes, that was not fetched */
  #mayBeFree = true;
  #mayBeLaned = true;
  #turns = 0;

  constructor(q: Queryable, destinationId: string, payloads: Payloads) {
    this.#q = q;
    this.#destinationId = destinationId;
    this.#payloads = payloads;
  }

  /** Anything may be due. */
  poke(): void {
    this.#mayBeFree = true;
    this.#fetchedOlder = false;
    this.#mayBeLaned = true;
    for (const lane of this.#lanes.values()) lane.more = true;
  }

  /** Deliveries were just made: in these lanes, or, as null has it, outside of them. */
  expect(lanes: Iterable<string | null>): void {
    for (const name of lanes) {
      const lane = name === null ? undefined : this.#lanes.get(name);
      if (name === null) this.#mayBeFree = true;
      else if (lane) lane.more = true;
      else this.#revisit.add(name);
    }
  }

  /** Forgets what is ready; what is under way stays known. */
  drop(): void {
    for (const { id, lane } of this.#ready) {
      this.#known.delete(id);
      this.#payloads.release(id);
      if (lane !== null) this.#forgetLane(lane);
    }
    for (const lane of this.#lanes.values()) this.#emptyQueue(lane);
    this.#ready = [];
    this.#revisit.clear();
    this.poke();
  }

  /** The next delivery to be sent, fetching about `count` when none is ready; null when nothing is due. */
  async next(count: number): Promise<Fetched | null> {
    if (this.#ready.length > 0 && performance.now() - this.#fetchedAt > STALE_MS) this.drop();
    while (this.#ready.length === 0 && (this.#revisit.size > 0 || this.#mayBeLaned || this.#mayBeFree)) {
      // In turns, so that lanes which never end keep nobody else from being looked for.
      this.#turns += 1;
      if (this.#turns % 3 === 0 && this.#revisit.size > 0) await this.#fetchOfLanes();
      if (this.#turns % 3 === 1 && this.#mayBeLaned) await this.#fetchLanes(Math.min(count, LANES_MAX));
      if (this.#turns % 3 === 2 && this.#mayBeFree) await this.#fetch(count);
    }
    return this.#ready.shift() ?? null;
  }

  /** Puts back what could not be sent just now. */
  unshift(delivery: Fetched): void {
    this.#ready.unshift(delivery);
  }

  /** The delivery is no longer under way. `goOn`: it is finished, so the next of its lane may go. */
  done({ id, lane: name }: Fetched, goOn: boolean): void {
    this.#known.delete(id);
    this.#payloads.release(id);
    const lane = name === null ? undefined : this.#lanes.get(name);
    if (name === null || !lane) return;
    const next = goOn ? lane.queue.shift() : undefined;
    if (next) {
      this.#known.add(next.id);
      this.#ready.push(next);
      return;
    }
    this.#forgetLane(name);
    if (goOn && lane.more) this.#revisit.add(name);
  }

  /** None of the lane is ready or under way any more. */
  #forgetLane(name: string): void {
    const lane = this.#lanes.get(name);
    if (lane) this.#emptyQueue(lane);
    this.#lanes.delete(name);
  }

  #emptyQueue(lane: Lane): void {
    for (const { id } of lane.queue) this.#payloads.release(id);
    lane.queue = [];
  }

  async #fetch(count: number): Promise<void> {
    this.#mayBeFree = false;
    const older = !this.#fetchedOlder;
    this.#fetchedOlder = true;
    const values = [this.#destinationId, [...this.#known], count, !older, this.#payloads.room];
    const { rows } = await this.#q.query<Fetched>(FETCH_DUE, values);
    this.#take(rows);
    if (rows.length < count) return;
    this.#mayBeFree = true;
    if (older) this.#fetchedOlder = false;
  }

  /** Fetches from lanes that are due; those that are ready or under way are passed over. */
  async #fetchLanes(count: number): Promise<void> {
    this.#mayBeLaned = false;
    const values = [this.#destinationId, [...this.#lanes.keys()], OF_A_LANE, count, this.#payloads.room];
    const { rows } = await this.#q.query<LaneRow>(FETCH_LANES, values);
    const due = rows.filter((row) => row.id !== null);
    this.#takeLanes(due);
    const lanes = new Set(rows.map(({ ofLane }) => ofLane));
    const stale = [...lanes].filter((name) => !this.#lanes.has(name));
    const settled = stale.length === 0 || (await this.#settle(stale));
    // Those that cannot be settled while somebody writes to them are looked at again when that is told, or at the next poll.
    if (lanes.size === count && (settled || stale.length < count)) this.#mayBeLaned = true;
  }

  /** Corrects when lanes are due that have nothing due. @returns whether one was corrected */
  async #settle(lanes: readonly string[]): Promise<boolean> {
    const { rows } = await this.#q.query<{ written: number }>(SETTLE_LANES, [this.#destinationId, lanes]);
    return (rows[0]?.written ?? 0) > 0;
  }

  async #fetchOfLanes(): Promise<void> {
    const names: string[] = [];
    for (const name of [...this.#revisit].slice(0, LANES_MAX)) {
      this.#revisit.delete(name);
      const lane = this.#lanes.get(name);
      // Of a lane that is busy the next may be on its way to being recorded.
      if (lane) lane.more = true;
      else names.push(name);
    }
    const { rows } = await this.#q.query<DueRow>(FETCH_OF_LANES, [
      this.#destinationId,
      names,
      OF_A_LANE,
      this.#payloads.room,
    ]);
    this.#takeLanes(rows);
  }

  /** Of each lane the first is ready and the others come after it; whatever is not due holds up those behind it. */
  #takeLanes(rows: readonly DueRow[]): void {
    const heads: Fetched[] = [];
    const closed = new Set<string>();
    for (const row of rows) {
      const name = row.lane ?? "";
      const lane = this.#lanes.get(name);
      if (closed.has(name)) continue;
      if (!row.due || this.#known.has(row.id)) closed.add(name);
      else if (lane) {
        this.#payloads.hold(row);
        lane.queue.push(row);
      } else {
        this.#lanes.set(name, { queue: [], more: false });
        heads.push(row);
      }
    }
    for (const { lane } of heads) {
      const taken = this.#lanes.get(lane ?? "");
      if (taken) taken.more = taken.queue.length === OF_A_LANE - 1;
    }
    this.#take(heads);
  }

  #take(rows: readonly Fetched[]): void {
    for (const row of rows) {
      this.#known.add(row.id);
      this.#payloads.hold(row);
    }
    this.#ready.push(...rows);
    this.#fetchedAt = performance.now();
  }
}
