/** The control of product books: their truth, and changes of it, by the book's name. */
import type { z } from "zod";
import { TartanError } from "../../errors.ts";
import { bookOf, type Item } from "../item.ts";
import { BOOKS, type BookName } from "../products/index.ts";
import type { AnyBook } from "../products/product-book.ts";
import { changeBook, readable } from "../products/shelf.ts";
import type { Simulation } from "../simulation.ts";
import { badInput, check } from "./inputs.ts";

export type BookInput<N extends BookName> = z.input<(typeof BOOKS)[N]["input"]>;

/** what a change came to, in the book's own terms */
export type BookChange<N extends BookName> = ReturnType<(typeof BOOKS)[N]["change"]>;

export function truthOf(sim: Simulation, item: Item, name: BookName): Record<string, unknown> {
  const book: AnyBook = BOOKS[name];
  const state = readable(sim, item, book);
  return state === null ? book.nothing : book.truth(state, item, sim);
}

export function changeTruth<N extends BookName>(
  sim: Simulation,
  item: Item,
  name: N,
  input: BookInput<N>,
): BookChange<N> {
  const book: AnyBook = BOOKS[name];
  const wish = check(book.input, input);
  if (wish.account_id !== undefined && !bookOf(item).accounts.some((account) => account.id === wish.account_id)) {
    throw badInput({ account_id: "is not an account of this Item" });
  }
  const change = changeBook(sim, item, book, wish);
  if (change === null) throw unreadable(item, book);
  return change as BookChange<N>;
}

function unreadable(item: Item, book: AnyBook): TartanError {
  const shelved = item.shelf[book.name];
  if (!shelved) return new TartanError("conflict", `the Item does not have the product ${book.product}`);
  return new TartanError(
    "conflict",
    shelved.pulledAt === null
      ? `the first pull of ${book.product} is under way: advance the clock, or make the Item with ready: true`
      : `the Item has no account for ${book.product}: add one first`,
  );
}
