/**
 * Counts the requests that are sent to Plaid, by integration, day and endpoint, so that a bill can be compared with them. Counts are
 * gathered in memory and written every few seconds and at the stop; a process that is killed loses the last seconds of them. A request
 * that Plaid bills is written before it is sent, so it is never lost, and it is not sent while it cannot be written. Days are those
 * of the database's clock, in UTC.
 */
import type { Database, Queryable, Statement } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { checked } from "../model/validation.ts";
import { CallFilter } from "./calls.schema.ts";
import type { PlaidClient } from "./client.ts";

const WRITE_EVERY_MS = 2_000;
/** Two billing years overlap in it. */
const KEPT_DAYS = 400;
const ROWS_AT_ONCE = 5_000;

const TODAY = "(now() at time zone 'UTC')::date";

/** $1 integrations, $2 endpoints, $3 calls, $4 failures, $5 billed calls. */
const ADD: Statement = {
  name: "plaid_add_calls",
  text: `
insert into tartan.plaid_calls as c (integration_id, day, endpoint, calls, failures, billed)
select integration_id, ${TODAY}, endpoint, calls, failures, billed
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) as k (integration_id, endpoint, calls, failures, billed)
order by 1, 3
on conflict (integration_id, day, endpoint) do update set
  calls = c.calls + excluded.calls, failures = c.failures + excluded.failures, billed = c.billed + excluded.billed`,
};

/** $1 integration, $2 and $3 the days; null: the last thirty. */
const SPAN = `select coalesce($2::date, coalesce($3::date, ${TODAY}) - 29) as first, coalesce($3::date, ${TODAY}) as last`;
const SUMS = "sum(calls)::bigint as calls, sum(failures)::bigint as failures, sum(billed)::bigint as billed";
const READ: Statement = {
  name: "plaid_read_calls",
  text: `
with span as (${SPAN}), chosen as (
  select c.* from span, tartan.plaid_calls c where c.integration_id = $1 and c.day between span.first and span.last
)
select span.first::text as "from", span.last::text as "to",
  coalesce((select jsonb_agg(e order by e.endpoint) from (select endpoint, ${SUMS} from chosen group by endpoint) e), '[]') as endpoints,
  coalesce((select jsonb_agg(d order by d.day) from (select day, ${SUMS} from chosen group by day) d), '[]') as days
from span`,
};

/** $1 days, $2 integrations that there are: a run may end, and be counted, after its integration was purged. */
const PRUNE = `delete from tartan.plaid_calls where ctid = any (array(
  select ctid from tartan.plaid_calls
  where day < ${TODAY} - $1::int or (day < ${TODAY} and integration_id <> all ($2::text[])) limit ${ROWS_AT_ONCE}))`;
const PURGE = "delete from tartan.plaid_calls where integration_id = $1";

interface Counts {
  calls: number;
  failures: number;
  billed: number;
}

interface Noted extends Counts {
  integrationId: string;
  endpoint: string;
}

export interface CallCounts extends AsyncDisposable {
  /** the client, whose requests are counted for the integration */
  counted(integrationId: string, client: PlaidClient): PlaidClient;
  /** writes what is gathered now */
  flush(): Promise<void>;
}

interface Options {
  database: Database;
  logger: Logger;
  /** whether Plaid bills each request of an endpoint */
  isBilled(endpoint: string): boolean;
}

/** Begins to count; disposing it writes what is gathered. */
export const openCallCounts = (options: Options): CallCounts => new Counter(options);

class Counter implements CallCounts {
  readonly #options: Options;
  #gathered = new Map<string, Noted>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: Options) {
    this.#options = options;
  }

  counted(integrationId: string, client: PlaidClient): PlaidClient {
    const { database, isBilled } = this.#options;
    const counting = async <T>(
      endpoint: string,
      signal: AbortSignal | undefined,
      ask: () => Promise<T>,
    ): Promise<T> => {
      const about = { integrationId, endpoint };
      const billed = isBilled(endpoint);
      signal?.throwIfAborted();
      if (billed) await write(database, [{ ...about, calls: 1, failures: 0, billed: 1 }]);
      const calls = billed ? 0 : 1;
      try {
        const answer = await ask();
        this.#gather({ ...about, calls, failures: 0, billed: 0 });
        return answer;
      } catch (error) {
        this.#gather({ ...about, calls, failures: 1, billed: 0 });
        throw error;
      }
    };
    const post: PlaidClient["post"] = (endpoint, body, signal) =>
      counting(endpoint, signal, () => client.post(endpoint, body, signal));
    return {
      post,
      file: (endpoint, body, signal) => counting(endpoint, signal, () => client.file(endpoint, body, signal)),
      postJson: async <T>(...args: Parameters<typeof post>) => JSON.parse((await post(...args)).text) as T,
    };
  }

  #gather({ integrationId, endpoint, calls, failures, billed }: Noted): void {
    if (calls + failures + billed === 0) return;
    const name = `${integrationId} ${endpoint}`;
    const before = this.#gathered.get(name) ?? { calls: 0, failures: 0, billed: 0 };
    this.#gathered.set(name, {
      integrationId,
      endpoint,
      calls: before.calls + calls,
      failures: before.failures + failures,
      billed: before.billed + billed,
    });
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_EVERY_MS).unref();
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  /** Never rejects: counts that cannot be written are gathered again. */
  async #write(): Promise<void> {
    const noted = [...this.#gathered.values()];
    if (noted.length === 0) return;
    this.#gathered = new Map();
    try {
      await write(this.#options.database, noted);
    } catch (error) {
      this.#options.logger.warn({ error }, "counts of requests to Plaid cannot be written; trying again");
      for (const each of noted) this.#gather(each);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
  }
}

async function write(q: Queryable, noted: readonly Noted[]): Promise<void> {
  await q.query(ADD, [
    noted.map(({ integrationId }) => integrationId),
    noted.map(({ endpoint }) => endpoint),
    noted.map(({ calls }) => calls),
    noted.map(({ failures }) => failures),
    noted.map(({ billed }) => billed),
  ]);
}

/** The requests of an integration from one day to another, both included. */
export interface Calls {
  /** days are ISO 8601, in UTC */
  from: string;
  to: string;
  endpoints: readonly (Counts & { endpoint: string })[];
  days: readonly (Counts & { day: string })[];
  total: Counts;
}

/**
 * The requests of an integration, by endpoint and by day; of the last thirty days where none is named.
 * @throws TartanError `invalid_request` for a day that is none
 */
export async function readCalls(q: Queryable, integrationId: string, filter: CallFilter): Promise<Calls> {
  const { from = null, to = null } = checked(CallFilter, filter, "request");
  const { rows } = await q.query<Omit<Calls, "total">>(READ, [integrationId, from, to]);
  const [found] = rows;
  if (!found) throw new Error("a query of sums has one row");
  const total = { calls: 0, failures: 0, billed: 0 };
  for (const { calls, failures, billed } of found.endpoints) {
    total.calls += calls;
    total.failures += failures;
    total.billed += billed;
  }
  return { ...found, total };
}

/** Deletes the counts of days long ago, and those before today of integrations that are none of the `known`. */
export async function pruneCalls(q: Queryable, known: readonly string[], signal?: AbortSignal): Promise<void> {
  for (;;) {
    const { rowCount } = await q.query(PRUNE, [KEPT_DAYS, known]);
    if (rowCount < ROWS_AT_ONCE || signal?.aborted) return;
  }
}

/** Deletes the counts of an integration. */
export async function purgeCalls(q: Queryable, integrationId: string): Promise<void> {
  await q.query(PURGE, [integrationId]);
}
