/**
 * A product book: the data of one Plaid product of one Item, as the bank has it (the state), how to make, show and
 * change it, and the webhook that announces a change. A product needs one such file here, one endpoint file that reads it, and a
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
import type { WebhookNotice } from "../webhooks/notices.ts";

/** the surroundings of a change of a book */
export interface Scene {
  sim: Simulation;
  item: Item;
  accounts: readonly Account[];
  /** the book's own random stream: it does not affect the rest of the Item */
  random: Random;
}

/** the inputs of every change */
export const changeFields = {
  /** rows of this account only */
  account_id: z.string().optional(),
  /** false: no webhook announces the change */
  webhooks: z.boolean().default(true),
};

export type ChangeInput = z.ZodType<{ account_id?: string | undefined; webhooks: boolean }>;

/** how many rows a change concerns */
export const countField = z.int().min(0).max(100_000).default(0);

export interface ProductBook<State, Input extends ChangeInput, Change> {
  /** part of the control paths and the label of the random stream; it never changes, or worlds would differ */
  name: string;
  /** Plaid's name of the product that an Item must have */
  product: string;
  /** what the control shows while there is nothing to read */
  nothing: Record<string, unknown>;
  /** Plaid's error for an Item whose accounts have nothing of this product; null: one of them may */
  lacking(accounts: readonly Account[]): PlaidApiError | null;
  /** The data at the time when the Item is linked. It must not depend on when it is first read. */
  make(scene: Scene): State;
  /** all of it, in Plaid's shapes */
  truth(state: State, item: Item, sim: Simulation): Record<string, unknown>;
  /** the input of a change through the control */
  input: Input;
  change(state: State, request: z.output<Input>, scene: Scene): Change;
  /** the change that the activity makes */
  calm(random: Random): z.output<Input>;
  /** the user withdrew this account */
  dropAccount(state: State, account: Account): Change;
  /** everything, as the first pull finds it */
  everything(state: State): Change;
  /** the webhook of a change; null when nothing changed */
  notice(change: Change): WebhookNotice | null;
  /** a webhook of this `TYPE/CODE` without a change, as the Sandbox fires it; null: not one of this product's */
  readyMade(kind: string, state: () => State | null): WebhookNotice | null;
}

/** any book, for code that does not depend on its product */
export type AnyBook = ProductBook<unknown, ChangeInput, unknown>;
