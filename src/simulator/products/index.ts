/** Every product book, by its name. */
import { holdings } from "./holdings.ts";
import { liabilities } from "./liabilities.ts";
import type { AnyBook } from "./product-book.ts";

export const BOOKS = { holdings, liabilities };

export type BookName = keyof typeof BOOKS;

export const ALL_BOOKS: readonly AnyBook[] = Object.values(BOOKS);
