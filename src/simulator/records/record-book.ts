/**
 * A record book: what Plaid has of one kind of subject that belongs to no Item, such as a payment or a user. A book says how a
 * record is made, changed and shown, and which webhooks announce it. A kind needs one such file here and a line in index.ts;
 * store.ts keeps the records, changes.ts makes and changes them, and the control, restarts and the activity work by themselves.
 *
 * A state is plain data (objects, arrays, maps, numbers): a snapshot keeps it as it is. It names Items, accounts and other records
 * by their ids.
 */
import { z } from "zod";
import type { PlaidApiError } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";

/** One record, as the world keeps it. */
export interface SimRecord<State = unknown> {
  readonly kind: string;
  readonly id: string;
  readonly clientId: string;
  /** ms since the epoch, on the simulator's clock */
  readonly createdAt: number;
  /** the record's own stream, which continues over restarts */
  readonly random: Random;
  /** a webhook URL of its own, where Plaid has one for each; null: its webhooks go to the client's */
  webhook: string | null;
  state: State;
}

/** A record that is being made: everything but its state. */
export type Blank = Omit<SimRecord, "state">;

/** The webhooks of a change, in their order. */
export type Announced = WebhookNotice | readonly WebhookNotice[] | null;

export type Shape = Record<string, z.ZodType>;
export type Input<S extends Shape> = z.input<z.ZodObject<S>>;
export type Request<S extends Shape> = z.output<z.ZodObject<S>>;

export interface RecordBook<State, Make extends Shape, Change extends Shape> {
  /** the kind of subject; part of the control paths and of the random streams, so it never changes */
  kind: string;
  /** each client has exactly one, with this id, from the beginning */
  only?: string;
  id(random: Random): string;
  /** the fields that may be given to a new record; what is absent comes from its random stream */
  making: Make;
  make(request: Request<Make>, blank: Blank, sim: Simulation): State;
  /** the webhooks that announce a new record; absent: none */
  made?(record: SimRecord<State>, sim: Simulation): Announced;
  /** plans what happens to a record by itself; called when it was made, and for each record after a restart */
  plan?(record: SimRecord<State>, sim: Simulation): void;
  /** called after a restart that may have lost changes which the client has seen */
  recover?(record: SimRecord<State>): void;
  /** the fields of a change through the control */
  changing: Change;
  /** @throws PlaidApiError when this cannot happen to the record as it is */
  change(record: SimRecord<State>, request: Request<Change>, sim: Simulation): Announced;
  /** the change that the activity makes; null: none now */
  calm(record: SimRecord<State>, random: Random): Input<Change> | null;
  /** the truth: the answers of Plaid's endpoints about the record, without request_id, by the resource that reads them */
  truth(record: SimRecord<State>, sim: Simulation): Record<string, unknown>;
  /** the token by which endpoints find it, for kinds that have one */
  token?(state: State): string | null;
  /** Plaid's error for an id or token that the client does not have */
  unknown(): PlaidApiError;
}

/** any book, for code that does not depend on its kind */
export type AnyRecordBook = RecordBook<unknown, Shape, Shape>;

/** What the control may say of every new record. */
export const makingFields = {
  count: z.int().min(1).max(10_000).default(1),
  /** one of the simulator's clients; absent: the first */
  client_id: z.string().optional(),
  /** a webhook URL of its own instead of the client's */
  webhook: z
    .url({ protocol: /^https?$/, error: "must be an http or https URL" })
    .nullable()
    .default(null),
  /** false: no webhook announces it */
  webhooks: z.boolean().default(true),
};

/** What the control may say with every change. */
export const changingFields = {
  /** false: no webhook announces the change */
  webhooks: z.boolean().default(true),
};

/** A book, with its types inferred. */
export const recordBook = <State>() =>
  function define<Make extends Shape, Change extends Shape>(
    book: RecordBook<State, Make, Change>,
  ): RecordBook<State, Make, Change> {
    return book;
  };
