/** Which days of requests to Plaid are asked for. */
import { z } from "zod";
import { described, wrong } from "../model/schema.ts";

const day = (description: string) =>
  described(z.iso.date({ error: wrong("must be a day such as 2026-11-20") }), description).optional();

export const CallFilter = z.strictObject({
  from: day("The first day, in UTC; 29 days before the last one when absent."),
  to: day("The last day, in UTC; today when absent."),
});
export type CallFilter = { from?: string | undefined; to?: string | undefined };
