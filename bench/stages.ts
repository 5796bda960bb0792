/**
 * Where the time between a webhook's receipt and its visible row goes. Postgres says when each transaction committed
 * (track_commit_timestamp). The commit that marks a subject leaves nothing behind, so a trigger of the bench notes it.
 */
import type { World } from "./world.ts";
import { ms, type Row } from "./report.ts";

/** In milliseconds. */
export interface Stage {
  p50: number;
  p99: number;
}

export interface Stages {
  /** how many rows were found */
  rows: number;
  /** from the receipt to the visible row */
  fresh: Stage;
  acknowledged: Stage;
  marked: Stage;
  claimed: Stage;
  visible: Stage;
  /** from the acknowledgement to the answer of the destination */
  delivered: Stage;
}

/** Begins to note when subjects are marked. */
export async function noteMarks({ database }: World): Promise<void> {
  for (const statement of [
    "create table public.bench_marks (id text not null)",
    `create function public.bench_note_mark() returns trigger language plpgsql as
     $$ begin insert into public.bench_marks values (new.id); return null; end $$`,
    `create trigger bench_note_mark after update of generation on sync.subjects for each row
     when (new.generation <> old.generation) execute function public.bench_note_mark()`,
    "create index on public.bench_marks (id)",
  ])
    await database.query(statement);
}

/** Forgets the marks so far. */
export const forgetMarks = ({ database }: World): Promise<unknown> => database.query("delete from public.bench_marks");

const NAMES = ["fresh", "acknowledged", "marked", "claimed", "visible", "delivered"] as const;

const quantile = (share: number, name: string): string =>
  `(percentile_cont(${share}) within group (order by ${name}) * 1000)::float8`;

/** Each new row against the first webhook of its item since $1. */
const STAGES = `
  with row_visible as (
    select item_id, pg_xact_commit_timestamp(xmin) as at from plaid.transactions where added_at >= $1
  ), received as (
    select distinct on (item_id) item_id, id, received_at as at from journal.webhooks
    where received_at >= $1 and item_id in (select item_id from row_visible) order by item_id, received_at
  ), answered as (
    select webhook_id as id, pg_xact_commit_timestamp(xmin) as at from journal.accepted_tokens
    where webhook_id in (select id from received)
  ), times as (
    select r.at as received, v.at as visible, a.at as acknowledged,
      (select min(pg_xact_commit_timestamp(m.xmin)) from public.bench_marks m where m.id = r.item_id) as marked,
      (select min(s.started_at) from sync.runs s where s.subject_id = r.item_id and s.started_at >= r.at) as claimed,
      (select d.finished_at from relay.deliveries d where d.event_id = r.id) as delivered
    from received r join row_visible v using (item_id) join answered a on a.id = r.id
  ), took as (
    select extract(epoch from visible - received) as fresh, extract(epoch from acknowledged - received) as acknowledged,
      extract(epoch from marked - acknowledged) as marked, extract(epoch from claimed - marked) as claimed,
      extract(epoch from visible - claimed) as visible, extract(epoch from delivered - acknowledged) as delivered
    from times
  )
  select count(*)::int as rows, ${NAMES.map((name) => `json_build_object('p50', ${quantile(0.5, name)}, 'p99', ${quantile(0.99, name)}) as ${name}`).join(", ")}
  from took`;

/** Call it when all is delivered. */
export async function stagesSince({ database }: World, since: Date): Promise<Stages> {
  const { rows } = await database.query<Stages>(STAGES, [since]);
  return rows[0] as Stages;
}

const SENTENCES: Record<Exclude<(typeof NAMES)[number], "fresh">, string> = {
  acknowledged: "received → acknowledged",
  marked: "acknowledged → its item is due",
  claimed: "due → claimed",
  visible: "claimed → row visible",
  delivered: "acknowledged → delivered",
};

export const stageRows = (bench: string, stages: Stages, beside: string): Row[] =>
  Object.entries(SENTENCES).map(([name, what]) => {
    const { p50, p99 } = stages[name as keyof typeof SENTENCES];
    return { bench, what: `webhook ${what}, beside ${beside}, p50 / p99`, figure: `${ms(p50)} / ${ms(p99)}` };
  });
