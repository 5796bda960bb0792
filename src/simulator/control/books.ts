/** The control of product books: shows and changes their truth, by the book's name. */
import type { z } from "zod";
import { TartanError } from "../../errors.ts";
import { bookOf, type Item } from "../item.ts";
import { BOOKS, type BookName } from "../products/index.ts";
import type { AnyBook } from "../products/product-book.ts";
import { changeBook, readable } from "../products/shelf.ts";
import type { Simulation } from "../simulation.ts";
import { badInput, check } from "./inputs.ts";

export type BookInput<N extends BookName> = z.input<(typeof BOOKS)[N]["input"]>;

/** the result of a change, in the book's own terms */
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
  const request = check(book.input, input);
  if (request.account_id !== undefined && !bookOf(item).accounts.some((account) => account.id === request.account_id)) {
    throw badInput({ account_id: "is not an account of this Item" });
  }
  const change = changeBook(sim, item, book, request);
  if (change === null) throw unreadable(item, book);
  return change as BookChange<N>;
}

function unreadable(item: Item, book: AnyBook): TartanError {
  const shelved = item.shelf[book.name];
  if (!shelved) return new TartanError("conflict", `the Item does not have the product ${book.product}`);
  return new TartanError(
    "conflict",
    shelved.pulledAt === null
      ? `the first pull of ${book.product} has not ended: advance the clock, or make the Item with ready: true`
      : `the Item has no account for ${book.product}: add one first`,
  );
}
