/** The transactions of a book, newest first, for /transactions/get and for the truth. */
import type { Txn } from "./transaction-log.ts";
import type { Book } from "./item.ts";

/** the last sorted list of each book, so that paging does not sort it for each page */
const sortedLists = new WeakMap<Book, { head: number; list: Txn[] }>();

export function newestFirst(book: Book): readonly Txn[] {
  const known = sortedLists.get(book);
  if (known?.head === book.log.head) return known.list;
  const list = book.log.live.toSorted((a, b) => b.day - a.day || (a.id < b.id ? -1 : 1));
  sortedLists.set(book, { head: book.log.head, list });
  return list;
}
