/** The records of the world, by kind, client and id. Two clients may have records with the same id, such as their ledgers. */
import { Random, type RandomState } from "../random.ts";
import type { AnyRecordBook, Blank, RecordBook, Shape, SimRecord } from "./record-book.ts";

/** A book as far as finding its records goes. */
export type Kind<State> = RecordBook<State, Shape, Shape>;

export interface SavedRecord extends Omit<SimRecord, "random"> {
  random: RandomState;
}

export interface RecordsState {
  /** how many were ever made of each kind: the number of the next one's random stream */
  made: Map<string, number>;
  records: SavedRecord[];
}

interface Shelf {
  /** of each client, by id */
  byClient: Map<string, Map<string, SimRecord>>;
  made: number;
}

export class RecordStore {
  readonly #random: Random;
  readonly #kinds = new Map<string, Shelf>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** A record without state, with an id and a random stream of its own: the kind's next one, unless another is given. */
  blank(book: AnyRecordBook, clientId: string, webhook: string | null, now: number, given?: Random): Blank {
    const random = given ?? this.#next(book.kind);
    const id = book.only ?? book.id(random);
    return { kind: book.kind, id, clientId, createdAt: now, random, webhook };
  }

  add(record: SimRecord): void {
    const { byClient } = this.#shelf(record.kind);
    const mine = byClient.get(record.clientId);
    if (mine) mine.set(record.id, record);
    else byClient.set(record.clientId, new Map([[record.id, record]]));
  }

  get<State>(book: Kind<State>, clientId: string, id: string): SimRecord<State> | undefined {
    return this.#kinds.get(book.kind)?.byClient.get(clientId)?.get(id) as SimRecord<State> | undefined;
  }

  /** The client's records of a kind, oldest first. */
  of<State>(book: Kind<State>, clientId: string): SimRecord<State>[] {
    return [...(this.#kinds.get(book.kind)?.byClient.get(clientId)?.values() ?? [])] as SimRecord<State>[];
  }

  /** All records of a kind, of all clients. */
  all(kind: string): SimRecord[] {
    return [...(this.#kinds.get(kind)?.byClient.values() ?? [])].flatMap((mine) => [...mine.values()]);
  }

  save(): RecordsState {
    const kinds = [...this.#kinds.keys()];
    return {
      made: new Map([...this.#kinds].map(([kind, { made }]) => [kind, made])),
      records: kinds.flatMap((kind) => this.all(kind)).map((one) => ({ ...one, random: one.random.save() })),
    };
  }

  restore({ made, records }: RecordsState): void {
    for (const [kind, count] of made) this.#shelf(kind).made = count;
    for (const one of records) this.add({ ...one, random: Random.restore(one.random) });
  }

  #next(kind: string): Random {
    const shelf = this.#shelf(kind);
    shelf.made += 1;
    return this.#random.fork(`${kind}/${shelf.made}`);
  }

  #shelf(kind: string): Shelf {
    const known = this.#kinds.get(kind);
    if (known) return known;
    const fresh: Shelf = { byClient: new Map(), made: 0 };
    this.#kinds.set(kind, fresh);
    return fresh;
  }
}
