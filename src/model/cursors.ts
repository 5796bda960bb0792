/**
 * The cursors of all lists. They are opaque to users, and checked: Tartan refuses a mistyped cursor or one of another list instead
 * of returning a wrong page.
 */
import { hash } from "node:crypto";
import { TartanError } from "../errors.ts";

const CHECK_LENGTH = 6;

/** A cursor of the list `list` that continues after `key`. */
export function toCursor(list: string, key: string): string {
  return Buffer.from(key + checkOf(list, key)).toString("base64url");
}

/**
 * The key in a cursor of the list `list`.
 * @throws TartanError `invalid_request` when that list did not give the cursor
 */
export function fromCursor(list: string, cursor: string): string {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  const key = text.slice(0, -CHECK_LENGTH);
  if (key !== "" && toCursor(list, key) === cursor) return key;
  throw new TartanError("invalid_request", "This list did not give that cursor. Start again without one.", {
    fields: { cursor: "must be the next_cursor of the previous page" },
  });
}

/** A cursor of the list `list` whose rows are ordered by several texts. */
export const toKeyCursor = (list: string, key: readonly string[]): string => toCursor(list, JSON.stringify(key));

/**
 * The key in a cursor that `toKeyCursor` made.
 * @throws TartanError `invalid_request` when that list did not give the cursor
 */
export const fromKeyCursor = (list: string, cursor: string): readonly string[] =>
  JSON.parse(fromCursor(list, cursor)) as readonly string[];

const checkOf = (list: string, key: string): string => hash("sha256", `${list} ${key}`, "hex").slice(0, CHECK_LENGTH);
