/** What the tests of rewritten weeks need: something that happens in the middle, and what must not be left behind. */
import type { Database, Queryable } from "../../src/database/types.ts";
import { COPY_WEEK, EXCHANGE_WEEK } from "../../src/journal/body-queries.ts";

/** The database, in which something happens between the last row of a copy and its commit, or between that and the exchange. */
export const changing = (database: Database, change: () => Promise<unknown>, isCommitted = false): Database =>
  Object.create(database, {
    transaction: {
      value: (work: (tx: Queryable) => Promise<unknown>, kind?: "long") =>
        database.transaction(async (tx) => {
          const query = async (...given: Parameters<Queryable["query"]>) => {
            if (isCommitted && given[0] === EXCHANGE_WEEK) await change();
            const answer = await tx.query(...given);
            if (!isCommitted && given[0] === COPY_WEEK) await change();
            return answer;
          };
          return await work({ query } as Queryable);
        }, kind),
    },
  });
/** What a rewriting has left behind. */
export const leftovers = async (database: Queryable): Promise<unknown[]> => {
  const { rows } = await database.query(
    `select relname::text as name from pg_class where relname like 'webhooks%_rewritten' and relkind = 'r'
    union all select tgname from pg_trigger where tgname = 'rewriting' union all select partition from journal.changed_meanwhile`,
  );
  return rows;
};
