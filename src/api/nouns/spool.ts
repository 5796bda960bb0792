/** The spool of the process that answers. */
import { z } from "zod";
import { described } from "../../model/schema.ts";
import { SPOOL_STATES, type SpoolFacts } from "../../model/spool.ts";

/** As /readyz and the status show it. */
export const shownSpool = (facts: SpoolFacts | null) =>
  facts && { ...facts, since: facts.since?.toISOString() ?? null, oldest: facts.oldest?.toISOString() ?? null };

export const spoolShape = z
  .object({
    state: described(
      z.enum(SPOOL_STATES),
      "`straight`: webhooks go to Postgres. `spooling`: they go to the file. `draining`: the file is moved to Postgres. `off`, " +
        "`full`: nothing can be accepted while Postgres is away.",
    ),
    waiting: described(z.number(), "Webhooks and linked items that are acknowledged and not in Postgres yet."),
    bytes: described(z.number(), "Size of its files."),
    since: described(z.string().nullable(), "When the first of them went to the file; null while none does."),
    oldest: described(z.string().nullable(), "When the oldest that waits arrived."),
    damaged: described(z.number(), "Damaged places that were stepped over."),
    problem: described(z.string().nullable(), "Why it is off or full, or does not drain."),
  })
  .meta({ description: "The spool of this process; null in a process without one." });
