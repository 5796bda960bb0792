/**
 * What a product book is: the data of one Plaid product of one Item, as the bank has it (the state), how that is made, shown and
 * changed, and the webhook that announces a change. A product costs one such file here, one endpoint file that reads it, and a
 * line in each folder's index.ts. shelf.ts does the rest: consent, the first pull, restarts, the control paths.
 *
 * A state is plain data (objects, arrays, maps, numbers, the Item's own `Account` objects): a snapshot keeps it as it is.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import type { Item } from "../item.ts";
import type { PlaidApiError } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import type { Notice } from "../webhooks/notices.ts";

/** where something happens to a book */
export interface Scene {
  sim: Simulation;
  item: Item;
  accounts: readonly Account[];
  /** the book's own stream: what is drawn here disturbs nothing else of the Item */
  random: Random;
}

/** what every change can be asked */
export const changeFields = {
  /** rows of this account only */
  account_id: z.string().optional(),
  /** false: the truth changes in silence */
  webhooks: z.boolean().default(true),
};

export type ChangeInput = z.ZodType<{ account_id?: string | undefined; webhooks: boolean }>;

/** how many of something a change is about */
export const countField = z.int().min(0).max(100_000).default(0);

export interface ProductBook<State, Input extends ChangeInput, Change> {
  /** stands in the control paths and names the stream of chance; never changes, or worlds come out different */
  name: string;
  /** Plaid's name of the product that an Item must have */
  product: string;
  /** what the control shows while there is nothing to read */
  nothing: Record<string, unknown>;
  /** Plaid's error for an Item whose accounts have nothing of this product; null: one of them may */
  lacking(accounts: readonly Account[]): PlaidApiError | null;
  /** The data as it is when the Item is linked. Must not depend on when it is first looked at. */
  make(scene: Scene): State;
  /** all of it, in Plaid's shapes */
  truth(state: State, item: Item, sim: Simulation): Record<string, unknown>;
  /** what the control may ask to happen */
  input: Input;
  change(state: State, wish: z.output<Input>, scene: Scene): Change;
  /** a little of everything, for a calm day */
  calm(random: Random): z.output<Input>;
  /** the user withdrew this account */
  dropAccount(state: State, account: Account): Change;
  /** what the first pull finds */
  everything(state: State): Change;
  /** the webhook of a change; null when nothing changed */
  notice(change: Change): Notice | null;
  /** a webhook of this `TYPE/CODE` without a change, as the Sandbox fires it; null: not one of this product's */
  readyMade(kind: string, state: () => State | null): Notice | null;
}

/** any of them, where only the shelf's work matters */
export type AnyBook = ProductBook<unknown, ChangeInput, unknown>;
