/** The dates of a request about a range of days. */
import { parseDay } from "../days.ts";
import { invalidField } from "../plaid-error.ts";

/** The first and the last day. @throws PlaidApiError INVALID_FIELD for what is no date, and for a range that ends before it begins */
export function daysAsked(body: { start_date: string; end_date: string }): [from: number, to: number] {
  const [from, to] = [dayIn("start_date", body.start_date), dayIn("end_date", body.end_date)];
  if (from > to) throw invalidField("start_date must not be later than end_date");
  return [from, to];
}

function dayIn(field: string, text: string): number {
  const found = parseDay(text);
  if (found === null) throw invalidField(`${field} must be a valid date in the format YYYY-MM-DD`);
  return found;
}
