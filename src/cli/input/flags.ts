/** Checks the values of options, so that an error names the option and what it accepts, and says in the help what a schema accepts. */
import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import type { z } from "zod";
import { TartanError } from "../../errors.ts";
import { page, PAGE_SIZE } from "../../model/listing.ts";
import { boundsOf } from "../../model/validation.ts";

/** A parser for commander that accepts a whole number and returns it as it was written. */
export const wholeNumber =
  (from: number, to: number) =>
  (text: string): string => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= from && number <= to) return text;
    throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`);
  };

/** The same with the bounds of a schema. */
export function wholeNumberOf(schema: z.ZodType): (text: string) => string {
  const { least, most } = boundsOf(schema);
  return wholeNumber(least, most);
}

/** `1 to 500`. @param per what a unit of the option is in the schema: 1000 for seconds of a field in milliseconds */
export function rangeOf(schema: z.ZodType, per = 1): string {
  const { least, most } = boundsOf(schema);
  return `${least / per} to ${most / per}`;
}

/** A parser for commander of values that are separated by commas. */
export const listOf = (text: string): string[] =>
  text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");

/** `a, b or c`. */
export const choiceOf = (values: readonly string[]): string =>
  values.length < 2 ? values.join("") : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;

/** How many rows of a list. */
export const pageSize = wholeNumberOf(page.limit);
/** As many as the API returns where no limit is given. */
export const USUAL_PAGE = String(PAGE_SIZE.usual);
export const PAGE_SIZE_HELP = `how many, ${rangeOf(page.limit)}`;

/** @throws TartanError `invalid_request` naming the option whose value is not a web address */
export function webUrl(text: string, option: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  const fields = { [option]: "must be a URL with http or https, such as http://localhost:3000/webhooks/tartan" };
  throw new TartanError("invalid_request", `${option} does not accept ${text}.`, { fields });
}

/** @throws TartanError `invalid_request` naming the option whose value is not a number */
export function numberOf(text: string, option: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number)) return number;
  throw new TartanError("invalid_request", `${option} does not accept ${text}.`, {
    fields: { [option]: "must be a number" },
  });
}

/** @throws TartanError `invalid_request` naming the option whose file cannot be read */
export function readInput(file: string, option: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    throw new TartanError("invalid_request", `The file ${file} cannot be read.`, {
      fields: { [option]: `names ${file}, which cannot be read` },
    });
  }
}
