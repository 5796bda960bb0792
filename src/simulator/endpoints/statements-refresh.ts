/** POST /statements/refresh: fetches the statements of some months; a moment later a webhook says that it is done. */
import { z } from "zod";
import { parseDay } from "../days.ts";
import type { Item } from "../item.ts";
import { invalidField } from "../plaid-error.ts";
import { changeBook, readBook } from "../products/shelf.ts";
import { monthOf, refreshComplete, statements } from "../products/statements.ts";
import type { Simulation } from "../simulation.ts";
import { itemEndpoint } from "./endpoint.ts";

/** Plaid fetches at most two years. */
const MOST_MONTHS = 24;

export const statementsRefresh = itemEndpoint(
  "/statements/refresh",
  "healthy",
  { start_date: z.string(), end_date: z.string() },
  (item, body, { sim }) => {
    readBook(sim, item, statements);
    const [from, to] = [monthAt("start_date", body.start_date), monthAt("end_date", body.end_date)];
    if (from > to) throw invalidField("start_date must not be after end_date");
    if (to - from > MOST_MONTHS) throw invalidField("start_date must be at most two years before end_date");
    sim.time.schedule(sim.time.now() + sim.options.extraction.refreshMs, () => refresh(sim, item, { from, to }));
    return {};
  },
);

function monthAt(field: string, text: string): number {
  const day = parseDay(text);
  if (day === null) throw invalidField(`${field} is not a date: expected YYYY-MM-DD`);
  return monthOf(day);
}

function refresh(sim: Simulation, item: Item, months: { from: number; to: number }): void {
  if (item.removed || item.revoked || item.error) return;
  const request = statements.input.parse({ refresh: months, webhooks: false });
  if (changeBook(sim, item, statements, request) !== null) sim.notify(item, refreshComplete());
}
