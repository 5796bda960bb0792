/** Makes, finds and changes records, and sends the webhooks that announce it: for endpoints, other books and the control. */
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import type { AnyRecordBook, Announced, RecordBook, Request, Shape, SimRecord } from "./record-book.ts";
import type { Kind } from "./store.ts";

/** Where the webhooks of one change go, when not where the record's webhooks go. */
export interface Announcing {
  /** false: nowhere */
  webhooks?: boolean;
  url?: string | null | undefined;
}

export interface Making extends Announcing {
  /** the record's own webhook URL */
  webhook?: string | null | undefined;
  /** a fork of another record's stream, for a record that is made for it */
  random?: Random;
}

/** Makes a record of the client, and sends the webhooks that announce it. */
export function makeRecord<State, Make extends Shape>(
  sim: Simulation,
  book: RecordBook<State, Make, Shape>,
  clientId: string,
  request: Request<Make>,
  { webhook = null, random, ...announcing }: Making = {},
): SimRecord<State> {
  const { records } = sim.world;
  const blank = records.blank(book as unknown as AnyRecordBook, clientId, webhook, sim.time.now(), random);
  const record: SimRecord<State> = { ...blank, state: book.make(request, blank, sim) };
  records.add(record);
  book.plan?.(record, sim);
  announce(sim, record, book.made?.(record, sim) ?? null, announcing);
  return record;
}

/** Changes a record, and sends the webhooks that announce it. @throws PlaidApiError when the book refuses the change */
export function changeRecord<State, Change extends Shape>(
  sim: Simulation,
  book: RecordBook<State, Shape, Change>,
  record: SimRecord<State>,
  request: Request<Change>,
  announcing: Announcing = {},
): void {
  announce(sim, record, book.change(record, request, sim), announcing);
}

/** The client's record with this id. @throws PlaidApiError Plaid's error for an id that the client does not have */
export function recordOf<State>(sim: Simulation, book: Kind<State>, clientId: string, id: string): SimRecord<State> {
  if (id === book.only) return onlyRecord(sim, book, clientId);
  const found = sim.world.records.get(book, clientId, id);
  if (!found) throw book.unknown();
  return found;
}

/** The client's record with this token. @throws PlaidApiError Plaid's error for a token that the client does not have */
export function recordWith<State>(
  sim: Simulation,
  book: Kind<State>,
  clientId: string,
  token: string,
): SimRecord<State> {
  const found = sim.world.records.of(book, clientId).find((one) => book.token?.(one.state) === token);
  if (!found) throw book.unknown();
  return found;
}

/** The one record of a kind of which each client has one. */
export function onlyRecord<State>(sim: Simulation, book: Kind<State>, clientId: string): SimRecord<State> {
  const known = sim.world.records.get(book, clientId, book.only ?? "");
  return known ?? makeRecord(sim, book, clientId, {});
}

/** Sends webhooks about a record: to `url`, or to its own URL, or to its client's; nowhere when there is none. */
export function announce(sim: Simulation, record: SimRecord, announced: Announced, how: Announcing = {}): void {
  if (announced === null || how.webhooks === false) return;
  const url = how.url ?? record.webhook;
  for (const notice of [announced].flat()) sim.notifyClient(record.clientId, notice, url);
}
