/**
 * Makes subjects due. A mark inserts or updates the subject's row: it raises the generation, so that a running run leaves
 * the subject due when it ends, and adds what is requested.
 */
import { ArrayWriter } from "../database/binary-arrays.ts";
import type { Queryable } from "../database/types.ts";
import { HELD_SUBJECTS, MARK, NOTIFY_DUE, RENEW_SUBJECTS, UNLINKED_SUBJECTS } from "./mark-queries.ts";

export interface SubjectKey {
  integrationId: string;
  kind: string;
  id: string;
}

export interface Mark extends SubjectKey {
  /** names of resources, or `*` for all of them, either with `:full` to read from the start */
  requested?: readonly string[];
  /** UUID: no waiting webhook of the subject since its last mark is older */
  oldest?: string;
  /** it becomes due not earlier than this */
  notBefore?: Date;
}

/** NUL cannot occur in Postgres text, so it cannot occur in a part. */
export const nameOf = ({ integrationId, kind, id }: SubjectKey): string => `${integrationId}\0${kind}\0${id}`;

/** Byte order, in which all transactions lock subjects. */
const inLockingOrder = <T extends SubjectKey>(keys: Iterable<T>): T[] =>
  [...keys]
    .map((key) => ({ key, name: Buffer.from(nameOf(key)) }))
    .toSorted((a, b) => a.name.compare(b.name))
    .map(({ key }) => key);

/** One mark for each subject, in locking order: in Postgres a statement may change a row only once. */
export function gather(marks: readonly Mark[]): Mark[] {
  const bySubject = new Map<string, Mark>();
  for (const mark of marks) {
    const before = bySubject.get(nameOf(mark));
    bySubject.set(nameOf(mark), before ? merge(before, mark) : mark);
  }
  return inLockingOrder(bySubject.values());
}

function merge(one: Mark, other: Mark): Mark {
  const oldest = [one.oldest, other.oldest].filter((id) => id !== undefined).toSorted()[0];
  const requested = [...new Set([...(one.requested ?? []), ...(other.requested ?? [])])];
  return { ...one, requested, ...(oldest !== undefined && { oldest }) };
}

/** How many subjects one statement marks: the first reading of a ledger may name each of a million transfers. */
const AT_ONCE = 1000;

/**
 * Marks the subjects due, creates missing ones, and sends NOTIFY `tartan_due`. A running subject
 * stays with its worker and becomes due again when that run ends.
 */
export async function markDue(q: Queryable, marks: readonly Mark[]): Promise<void> {
  if (marks.length === 0) return;
  const each = gather(marks);
  for (let from = 0; from < each.length; from += AT_ONCE) await markQuietly(q, each.slice(from, from + AT_ONCE));
  await q.query(NOTIFY_DUE);
}

/** `markDue` without the NOTIFY, for gathered marks. */
export async function markQuietly(q: Queryable, marks: readonly Mark[]): Promise<void> {
  if (marks.length === 0) return;
  const out = new ArrayWriter(256 * marks.length);
  await q.query(MARK, [
    ...keysOf(out, marks),
    out.text(marks.map(({ requested = [] }) => requested.join(","))),
    out.timestamptz(marks.map(({ notBefore }) => notBefore)),
    out.uuid(marks.map(({ oldest }) => oldest)),
  ]);
}

/**
 * Locks the existing subjects against all writers, in their order, without waiting.
 * @returns names of the subjects that another transaction locks
 */
export async function lockSubjects(tx: Queryable, keys: readonly SubjectKey[]): Promise<ReadonlySet<string>> {
  if (keys.length === 0) return new Set();
  const out = new ArrayWriter(128 * keys.length);
  const { rows } = await tx.query<{ number: number }>(HELD_SUBJECTS, keysOf(out, keys));
  return new Set(rows.flatMap(({ number }) => keys.slice(number - 1, number).map(nameOf)));
}

/** Makes the subject of a newly linked item due, in every status. */
export async function renewSubjects(tx: Queryable, keys: readonly SubjectKey[]): Promise<void> {
  if (keys.length > 0) await tx.query(RENEW_SUBJECTS, keysOf(new ArrayWriter(128 * keys.length), keys));
}

/** Inserts rows of subjects without a token, so that they are listed; existing rows stay as they are. */
export async function noteUnlinked(tx: Queryable, keys: readonly SubjectKey[]): Promise<void> {
  const each = inLockingOrder(new Map(keys.map((key) => [nameOf(key), key])).values());
  if (each.length > 0) await tx.query(UNLINKED_SUBJECTS, keysOf(new ArrayWriter(128 * each.length), each));
}

const keysOf = (out: ArrayWriter, keys: readonly SubjectKey[]): Buffer[] => [
  out.text(keys.map(({ integrationId }) => integrationId)),
  out.text(keys.map(({ kind }) => kind)),
  out.text(keys.map(({ id }) => id)),
];
