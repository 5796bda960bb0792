/**
 * Pages of a client's records, newest first. A cursor is the time of the last record of its page, with the record's number in the
 * digits after the milliseconds: two records of one millisecond stay apart.
 */
import { invalidField } from "../plaid-error.ts";
import type { SimRecord } from "../records/record-book.ts";

const NUMBER = /\.\d{3}(\d{9})Z$/;

export interface RecordPage<State> {
  records: SimRecord<State>[];
  next_cursor: string | null;
}

/** @param records oldest first, as the world keeps them; none is ever taken out */
export function pageOf<State>(
  records: readonly SimRecord<State>[],
  count: number,
  cursor: string | null | undefined,
): RecordPage<State> {
  const before = cursor ? numberIn(cursor) : records.length;
  const from = Math.max(0, before - count);
  const page = records.slice(from, before).toReversed();
  const last = page.at(-1);
  return { records: page, next_cursor: from > 0 && last ? cursorAt(last.createdAt, from) : null };
}

const cursorAt = (ms: number, number: number): string =>
  new Date(ms).toISOString().replace("Z", `${String(number).padStart(9, "0")}Z`);

function numberIn(cursor: string): number {
  const number = NUMBER.exec(cursor)?.[1];
  if (number === undefined) throw invalidField("cursor must be the next_cursor of an earlier answer");
  return Number(number);
}
