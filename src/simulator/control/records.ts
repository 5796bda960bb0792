/** The control of records: lists, makes, shows and changes what belongs to no Item, by its kind. */
import { z } from "zod";
import { TartanError } from "../../errors.ts";
import { PlaidApiError } from "../plaid-error.ts";
import { changeRecord, makeRecord, onlyRecord } from "../records/changes.ts";
import { ALL_RECORDS, type RECORDS, type RecordKind } from "../records/index.ts";
import {
  changingFields,
  makingFields,
  type AnyRecordBook,
  type Input,
  type Shape,
  type SimRecord,
} from "../records/record-book.ts";
import type { Simulation } from "../simulation.ts";
import { badInput, check } from "./inputs.ts";

/** a record in one line */
export interface RecordBrief {
  kind: string;
  id: string;
  client_id: string;
  created_at: string;
  webhook: string | null;
  /** the token by which endpoints find it, for kinds that have one */
  token: string | null;
}

/** a record with its truth: what Plaid answers about it, by the resource that reads the answer */
export interface RecordTruth extends RecordBrief {
  truth: Record<string, unknown>;
}

type Book<K extends RecordKind> = (typeof RECORDS)[K];
type Fields<S> = S extends Shape ? Input<S> : never;

export type NewRecords<K extends RecordKind> = Fields<Book<K>["making"]> & Input<typeof makingFields>;
export type RecordChange<K extends RecordKind> = Fields<Book<K>["changing"]> & Input<typeof changingFields>;

export class RecordControl {
  readonly #sim: Simulation;

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** Makes records: `count` of them, with the given fields; the rest comes from each record's random stream. */
  create<K extends RecordKind>(kind: K, input: NewRecords<K> = {} as NewRecords<K>): { records: RecordTruth[] } {
    const book = bookOf(kind);
    if (book.only !== undefined) throw new TartanError("conflict", `each client has one ${kind} from the beginning`);
    const { count, client_id, webhook, webhooks, ...fields } = check(
      z.strictObject({ ...book.making, ...makingFields }),
      input,
    );
    const clientId = this.#clientId(client_id);
    const make = () => makeRecord(this.#sim, book, clientId, fields, { webhook, webhooks });
    return { records: Array.from({ length: count }, () => this.#truth(book, refusable(make))) };
  }

  list(kind: RecordKind): { records: RecordBrief[] } {
    const book = bookOf(kind);
    if (book.only !== undefined) for (const id of this.#sim.world.clients.keys()) onlyRecord(this.#sim, book, id);
    return { records: this.#sim.world.records.all(kind).map((one) => brief(book, one)) };
  }

  /** @param clientId needed only where several clients have a record with this id; default: the first of them */
  get(kind: RecordKind, id: string, clientId?: string): RecordTruth {
    return this.#truth(bookOf(kind), this.#record(kind, id, clientId));
  }

  /** Changes a record, and sends the webhooks that announce it. */
  change<K extends RecordKind>(kind: K, id: string, input: RecordChange<K>, clientId?: string): RecordTruth {
    const book = bookOf(kind);
    const { webhooks, ...fields } = check(z.strictObject({ ...book.changing, ...changingFields }), input);
    const record = this.#record(kind, id, clientId);
    refusable(() => changeRecord(this.#sim, book, record, fields, { webhooks }));
    return this.#truth(book, record);
  }

  #record(kind: RecordKind, id: string, clientId: string | undefined): SimRecord {
    const book = bookOf(kind);
    const clients = clientId === undefined ? [...this.#sim.world.clients.keys()] : [this.#clientId(clientId)];
    if (id === book.only && clients[0] !== undefined) return onlyRecord(this.#sim, book, clients[0]);
    for (const client of clients) {
      const found = this.#sim.world.records.get(book, client, id);
      if (found) return found;
    }
    throw new TartanError("not_found", `there is no ${kind} with this id`, { fields: { id: "is unknown here" } });
  }

  #clientId(requested: string | undefined): string {
    const { clients } = this.#sim.world;
    if (requested !== undefined && !clients.has(requested)) throw badInput({ client_id: "is not a client here" });
    return requested ?? ([...clients.keys()][0] as string);
  }

  #truth(book: AnyRecordBook, record: SimRecord): RecordTruth {
    return { ...brief(book, record), truth: book.truth(record, this.#sim) };
  }
}

const brief = (book: AnyRecordBook, { kind, id, clientId, createdAt, webhook, state }: SimRecord): RecordBrief => ({
  kind,
  id,
  client_id: clientId,
  created_at: new Date(createdAt).toISOString(),
  webhook,
  token: book.token?.(state) ?? null,
});

function bookOf(kind: string): AnyRecordBook {
  const found = ALL_RECORDS.find((one) => one.kind === kind);
  if (found) return found;
  const kinds = ALL_RECORDS.map((one) => one.kind).join(", ");
  throw new TartanError("not_found", `there are no records of this kind: use one of ${kinds}`, {
    fields: { kind: "is unknown here" },
  });
}

/** What Plaid would refuse is a conflict with the state of the record. */
function refusable<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof PlaidApiError ? new TartanError("conflict", error.message) : error;
  }
}
