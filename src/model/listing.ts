/** The parameters of all lists: how many rows a page holds, and where it begins. */
import { z } from "zod";
import { text, described, wholeNumberText } from "./schema.ts";
import { checked } from "./validation.ts";

export const PAGE_SIZE = { least: 1, most: 500, usual: 50 } as const;

/** The fields of a filter that choose the page; the limit may be a text, as a query string has it. */
export const page = {
  limit: wholeNumberText(PAGE_SIZE.least, PAGE_SIZE.most, "Rows of a page, 1 to 500.").default(PAGE_SIZE.usual),
  cursor: text(500, "The `next_cursor` of the page before.").optional(),
};

const Limit = z.object({ limit: page.limit });

/**
 * How many rows a page holds: `limit`, or 50.
 * @throws TartanError `invalid_request` unless it is a whole number from 1 to 500
 */
export const pageSize = (limit: number | undefined): number => checked(Limit, { limit }, "request").limit;

/** A filter as Tartan's own functions take it: a null cursor is the same as none. */
export type FilterOf<T extends z.ZodObject> = Omit<z.input<T>, "limit" | "cursor"> & {
  /** 1 to 500; 50 by default */
  limit?: number | undefined;
  /** `next_cursor` of the previous page */
  cursor?: string | null | undefined;
};

/**
 * The filter with its defaults.
 * @throws TartanError `invalid_request` naming each field that has an error
 */
export function checkedFilter<T extends z.ZodObject>(
  schema: T,
  { cursor, ...others }: { cursor?: string | null | undefined },
): z.output<T> {
  return checked(schema, cursor == null ? others : { ...others, cursor }, "request");
}

/** A switch in a query string. */
export const flag = (description: string) => described(z.enum(["true", "false"]).default("false"), description);
