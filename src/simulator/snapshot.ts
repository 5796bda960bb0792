/**
 * The world as bytes, so that a simulator continues after a restart: Items with their accounts, transactions,
 * tokens and errors, the records of what belongs to no Item, the clients, and the clock. A snapshot does not hold webhooks that wait for a retry, faults,
 * rate limit windows or open Link sessions.
 *
 * A snapshot that was not taken at the end (the process was killed) may lack changes that Plaid's client has already seen.
 * The simulator then refuses all earlier cursors, as Plaid refuses an unknown cursor, and the client reads everything again.
 */
import { deserialize, serialize } from "node:v8";
import { TartanError } from "../errors.ts";
import { findInstitution } from "./catalogue/institutions.ts";
import { TransactionLog, type TransactionLogState } from "./transaction-log.ts";
import { knowSecurities } from "./custom/securities.ts";
import { postOnDays } from "./custom/posting.ts";
import type { Book, Item, Shelved } from "./item.ts";
import { continuePulls } from "./products/shelf.ts";
import { Random, type RandomState } from "./random.ts";
import { ALL_RECORDS } from "./records/index.ts";
import type { Simulation } from "./simulation.ts";
import type { WorldState } from "./world.ts";

/** Raised whenever the shape below changes; an older snapshot is refused. */
const VERSION = 5;

type SavedBook = Omit<Book, "log" | "random"> & { log: TransactionLogState; random: RandomState };
type SavedShelved = Omit<Shelved, "content"> & { content: { state: unknown; random: RandomState } | null };
type SavedItem = Omit<Item, "institution" | "random" | "book" | "shelf"> & {
  institution: string;
  random: RandomState;
  book: SavedBook | null;
  shelf: Record<string, SavedShelved>;
};

interface Saved extends Omit<WorldState, "items"> {
  version: number;
  seed: string;
  /** nothing happened after it was taken */
  atTheEnd: boolean;
  clockAddedMs: number;
  items: SavedItem[];
}

export function takeSnapshot(sim: Simulation, atTheEnd: boolean): Buffer {
  const { items, ...world } = sim.world.save();
  const saved: Saved = {
    version: VERSION,
    seed: sim.options.seed,
    atTheEnd,
    clockAddedMs: sim.time.added,
    ...world,
    items: items.map(saveItem),
  };
  // One graph: transactions that several lists share stay one transaction.
  return serialize(saved);
}

/**
 * The seed of a snapshot; the simulation into which it is restored must have the same seed.
 * @throws TartanError `simulator_invalid_request` naming `file` when it holds no snapshot of this version
 */
export function seedOf(snapshot: Buffer, file: string): string {
  try {
    return read(snapshot).seed;
  } catch (cause) {
    throw new TartanError(
      "simulator_invalid_request",
      `The file ${file} holds no world that this version of the simulator saved. Delete it to begin a new world.`,
      { cause, fields: { stateFile: "holds no world that this version saved" } },
    );
  }
}

/** Fills a new simulation, and continues histories that had not fully arrived. */
export function restoreSnapshot(sim: Simulation, snapshot: Buffer): void {
  const { items, clockAddedMs, atTheEnd, ...world } = read(snapshot);
  sim.time.startAhead(clockAddedMs);
  sim.world.restore({ ...world, items: items.map(restoreItem) });
  for (const item of sim.world.items.values()) {
    if (!atTheEnd) item.cursorEpoch += 1;
    sim.settle(item);
    sim.continueExtraction(item);
    continuePulls(sim, item);
    postOnDays(sim, item);
  }
  for (const book of ALL_RECORDS) {
    for (const record of sim.world.records.all(book.kind)) {
      if (!atTheEnd) book.recover?.(record);
      book.plan?.(record, sim);
    }
  }
}

function read(snapshot: Buffer): Saved {
  let saved: Partial<Saved> | null = null;
  try {
    saved = deserialize(snapshot) as Partial<Saved> | null;
  } catch {
    // said below
  }
  if (saved?.version === VERSION) return saved as Saved;
  throw new TartanError("simulator_invalid_request", "This version of the simulator did not take this snapshot.");
}

const saveItem = ({ institution, random, book, shelf, ...item }: Item): SavedItem => ({
  ...item,
  institution: institution.institution_id,
  random: random.save(),
  book: book && { ...book, log: book.log.save(), random: book.random.save() },
  shelf: eachOf(shelf, ({ content, ...rest }) => ({
    ...rest,
    content: content && { state: content.state, random: content.random.save() },
  })),
});

function restoreItem({ institution: id, random, book, shelf, ...item }: SavedItem): Item {
  for (const account of book?.accounts ?? []) knowSecurities(account.override);
  const institution = findInstitution(id);
  if (!institution) throw new TartanError("internal", `the simulator has no institution ${id}`);
  return {
    ...item,
    institution,
    random: Random.restore(random),
    book: book && { ...book, log: new TransactionLog(book.log), random: Random.restore(book.random) },
    shelf: eachOf(shelf, ({ content, ...rest }) => ({
      ...rest,
      content: content && { state: content.state, random: Random.restore(content.random) },
    })),
  };
}

const eachOf = <From, To>(all: Record<string, From>, turn: (one: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(all).map(([name, one]) => [name, turn(one)]));
