/** The statements of the rate limits, which all processes share. Values are always bound; times are Postgres' own. */
import type { Statement } from "../database/types.ts";

const statement = (name: string, text: string): Statement => ({ name: `sync_${name}`, text });

/**
 * Takes requests from the budgets of their keys. $1…$4 are the keys: the number of the request, the key, step and burst in ms; $5 how long
 * (ms) each request waits at most. See sql. A transaction of its own, whose commit does not wait for the disk: it would hold up all
 * requests of the client for so long, and what a crash of Postgres forgets is the last half second.
 */
export const ACQUIRE = statement(
  "acquire",
  `select set_config('synchronous_commit', 'off', true),
  sync.acquire_each($1::int[], $2::text[], $3::float8[], $4::float8[], $5::float8[]) as waits`,
);

/**
 * Plaid answered 429 under key $1: no process sends a request for $2 ms (at least), twice as long for each strike of the last
 * minutes, at most $3 ms; and then without a burst. Returns the number of recent strikes, including this one.
 */
export const SLOW = statement(
  "slow",
  `
insert into sync.rate_limits as r (key, step, burst, arrival, strikes, slowed_until)
values ($1, interval '0', interval '0', statement_timestamp() + $2 * interval '1 ms', 1, statement_timestamp() + $2 * interval '1 ms')
on conflict (key) do update set
  strikes = case when r.slowed_until > statement_timestamp() - interval '5 minutes' then least(r.strikes + 1, 20) else 1 end,
  (arrival, slowed_until) = (select greatest(r.arrival, until + r.burst), greatest(r.slowed_until, until)
    from (select statement_timestamp() + least($3, $2 * 2 ^ case when r.slowed_until > statement_timestamp() - interval '5 minutes'
      then least(r.strikes, 20) else 0 end) * interval '1 ms' as until) u)
returning strikes`,
);

/** Plaid answered under the keys $1: the next 429 counts as the first again. */
export const RESET_STRIKES = statement(
  "reset_strikes",
  "update sync.rate_limits set strikes = 0 where key = any ($1::text[]) and strikes > 0",
);

export const SWEEP_LIMITS = statement(
  "sweep_limits",
  "delete from sync.rate_limits where arrival < now() - interval '10 minutes' and coalesce(slowed_until, '-infinity') < now() - interval '10 minutes'",
);
