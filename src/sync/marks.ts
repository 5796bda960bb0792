/**
 * Makes subjects due. A mark inserts or updates the subject's row: it raises the generation, so that a run that is under way leaves
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
  /** UUID: no webhook of the subject that waits since its last mark is older */
  oldest?: string;
  /** it becomes due no sooner than this */
  notBefore?: Date;
}

/** NUL cannot occur in Postgres text, so it cannot occur in a part. */
export const nameOf = ({ integrationId, kind, id }: SubjectKey): string => `${integrationId}\0${kind}\0${id}`;

/** The order of bytes, in which everyone locks subjects. */
const inLockingOrder = <T extends SubjectKey>(keys: Iterable<T>): T[] =>
  [...keys]
    .map((key) => ({ key, name: Buffer.from(nameOf(key)) }))
    .toSorted((a, b) => a.name.compare(b.name))
    .map(({ key }) => key);

/** One mark a subject, in locking order: Postgres lets one statement touch a row once. */
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

/**
 * Marks the subjects due, creating those that do not exist, and hints at it with NOTIFY `tartan_due`. A subject that is
 * being worked on stays with its worker and becomes due again when that run ends.
 */
export async function markDue(q: Queryable, marks: readonly Mark[]): Promise<void> {
  if (marks.length === 0) return;
  await markQuietly(q, gather(marks));
  await q.query(NOTIFY_DUE);
}

/** `markDue` without the NOTIFY, of marks that are gathered. */
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
 * Locks those of the subjects that exist against all who write them, in their order, and waits for nobody.
 * @returns names of the subjects that another transaction holds
 */
export async function lockSubjects(tx: Queryable, keys: readonly SubjectKey[]): Promise<ReadonlySet<string>> {
  if (keys.length === 0) return new Set();
  const out = new ArrayWriter(128 * keys.length);
  const { rows } = await tx.query<{ number: number }>(HELD_SUBJECTS, keysOf(out, keys));
  return new Set(rows.flatMap(({ number }) => keys.slice(number - 1, number).map(nameOf)));
}

/** A new token is a new chance, whatever the old one had come to. */
export async function renewSubjects(tx: Queryable, keys: readonly SubjectKey[]): Promise<void> {
  if (keys.length > 0) await tx.query(RENEW_SUBJECTS, keysOf(new ArrayWriter(128 * keys.length), keys));
}

/** Makes rows of subjects whose token is not known, so that they are seen; those that exist stay as they are. */
export async function noteUnlinked(tx: Queryable, keys: readonly SubjectKey[]): Promise<void> {
  const each = inLockingOrder(new Map(keys.map((key) => [nameOf(key), key])).values());
  if (each.length > 0) await tx.query(UNLINKED_SUBJECTS, keysOf(new ArrayWriter(128 * each.length), each));
}

const keysOf = (out: ArrayWriter, keys: readonly SubjectKey[]): Buffer[] => [
  out.text(keys.map(({ integrationId }) => integrationId)),
  out.text(keys.map(({ kind }) => kind)),
  out.text(keys.map(({ id }) => id)),
];
