/** Checks option values where commander reads them, so that the message names the option and the accepted values. */
import { InvalidArgumentError } from "commander";
import { TartanError } from "../errors.ts";

/** A parser for commander that accepts a whole number and returns it as it was written. */
export const wholeNumber =
  (from: number, to: number) =>
  (text: string): string => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= from && number <= to) return text;
    throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`);
  };

/** How many rows of a list. */
export const pageSize = wholeNumber(1, 500);

/** @throws TartanError `invalid_request` naming the option whose value is not a web address */
export function webUrl(text: string, option: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  const fields = { [option]: "must be a URL with http or https, such as http://localhost:3000/webhooks/tartan" };
  throw new TartanError("invalid_request", `${option} does not accept ${text}.`, { fields });
}
