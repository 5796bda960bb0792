/** The transactions of a book, newest first: how /transactions/get pages them and how the truth shows them. */
import type { Txn } from "./feed.ts";
import type { Book } from "./item.ts";

/** the last sorted list of each book: paging through it must not sort it once a page */
const sortedLists = new WeakMap<Book, { head: number; list: Txn[] }>();

export function newestFirst(book: Book): readonly Txn[] {
  const known = sortedLists.get(book);
  if (known?.head === book.feed.head) return known.list;
  const list = book.feed.live.toSorted((a, b) => b.day - a.day || (a.id < b.id ? -1 : 1));
  sortedLists.set(book, { head: book.feed.head, list });
  return list;
}
