/**
 * Gathers marks by subject: Postgres lets one statement touch a row once, and rows must be locked in one order by
 * everyone. So each subject appears once, in the order of its key, with all that is wanted of it.
 */

interface Wish {
  integrationId: string;
  kind: string;
  id: string;
  wanted?: readonly string[] | undefined;
}

export interface Gathered<T extends Wish> {
  first: T;
  wanted: string[];
  /** 1, 2, … in locking order */
  number: number;
}

/** NUL cannot occur in Postgres text, so it cannot occur in a part. */
const keyOf = (wish: Wish): string => `${wish.integrationId}\0${wish.kind}\0${wish.id}`;

/** One entry a subject, numbered in locking order, with the first wish of each; and the entry of each wish. */
export function gather<T extends Wish>(wishes: readonly T[]): { sorted: Gathered<T>[]; of: Gathered<T>[] } {
  const byKey = new Map<string, Gathered<T>>();
  const of = wishes.map((wish) => {
    const key = keyOf(wish);
    let entry = byKey.get(key);
    if (entry === undefined) byKey.set(key, (entry = { first: wish, wanted: [], number: 0 }));
    for (const resource of wish.wanted ?? []) if (!entry.wanted.includes(resource)) entry.wanted.push(resource);
    return entry;
  });
  const keys = [...byKey.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  const sorted = keys.flatMap((key) => byKey.get(key) ?? []);
  for (const [index, entry] of sorted.entries()) entry.number = index + 1;
  return { sorted, of };
}
