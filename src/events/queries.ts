/**
 * The statements of events and of the outbox. Values are always bound.
 *
 * Ids of one transaction carry its instant and then the events' places in it, so that an item's events in the order of
 * their ids are in the order in which they happened.
 */
import { createHash } from "node:crypto";
import type { Statement } from "../database/types.ts";

/** What recordEvents takes before the values of the events that it builds. */
const GIVEN = 13;

/**
 * Records events and one row of the outbox that names them and those that the transaction has already recorded. $1 are
 * their places, $2…$10 their columns and data, $11 and $12 places and ids of the recorded ones, $13 the types of all. Behind them, for each
 * of `built`: the values of its SELECT, its first place, type, and other columns. Yields all ids in order.
 */
function recordEvents(built: readonly Built[]): Statement {
  return {
    name: nameOf(built),
    text: `
with given as materialized (
  select e.n, tartan.new_id(now(), e.n) as id, e.type, e.integration_id, coalesce(e.environment, g.environment) as environment,
    e.item_id, coalesce(e.user_id, i.user_id) as user_id, e.subject_kind, e.subject_id, e.history, e.data
  from (select * from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bool[],
      $10::text[]) as a (n, type, integration_id, environment, item_id, user_id, subject_kind, subject_id, history, data)${unionOf(built)}) e
  left join tartan.integrations g on g.id = e.integration_id
  left join tartan.items i on i.integration_id = e.integration_id and i.item_id = e.item_id
), written as (
  insert into events.events (id, type, integration_id, item_id, user_id, subject_kind, subject_id, environment, history, payload)
  select id, type, integration_id, item_id, user_id, subject_kind, subject_id, environment, history,
    events.envelope(id, type, now(), integration_id, environment, item_id, user_id, subject_kind, subject_id, history, data)
  from given
), every as (
  select n, id from given union all select * from unnest($11::int[], $12::uuid[])
), noted as (
  insert into events.outbox (events, types) select array_agg(id order by n), $13::text[] from every having count(*) > 0
)
select id from every order by n`,
  };
}

/** Events that the statement builds from a SELECT with as many values. */
interface Built {
  select: Statement;
  taken: number;
}

/** How many columns of an event follow the values of its SELECT. */
const HEAD = 9;

/** Their own $1… stand behind those of the statement. */
function unionOf(built: readonly Built[]): string {
  let before = GIVEN;
  return built
    .map(({ select, taken }) => {
      const [from, head] = [before, before + taken];
      before = head + HEAD;
      const own = select.text.replaceAll(/\$(\d+)/g, (_, number: string) => `$${from + Number(number)}`);
      const columns = ["text", "text", "text", "text", "text", "text", "text", "bool"].map(
        (type, n) => `$${head + 2 + n}::${type}`,
      );
      return ` union all
    select $${head + 1}::int + part - 1, ${columns.join(", ")}, data from (${own}) made`;
    })
    .join("");
}

/** Postgres cuts names at 63 characters, so the names of the SELECTs are in it as a digest. */
const nameOf = (built: readonly Built[]): string =>
  built.length === 0 ? "events_record_events" : `events_record_events_${digestOf(namesOf(built))}`;
const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);
const namesOf = (built: readonly Built[]): string => built.map(({ select }) => select.name).join(" ");

const known = new Map<string, Statement>();

/** recordEvents, made once for each set of SELECTs. */
export function recordEventsWith(built: readonly Built[]): Statement {
  const names = namesOf(built);
  const made = known.get(names) ?? recordEvents(built);
  known.set(names, made);
  return made;
}

/** Events from the rows of a SELECT, whose own values are $1…; after them the first place, the type, and the other columns. */
export function insertParts({ name, text }: Statement, taken: number): Statement {
  const own = (index: number, type = "text"): string => `$${taken + index}::${type}`;
  const [first, history] = [own(1, "int"), own(9, "bool")];
  const [type, integration, environment, item, user] = [own(2), own(3), own(4), own(5), own(6)];
  const [kind, subject] = [own(7), own(8)];
  return {
    name: `events_${name}`,
    text: `
insert into events.events (id, type, integration_id, item_id, user_id, subject_kind, subject_id, environment, history, payload)
select id, ${type}, ${integration}, ${item}, ${user}, ${kind}, ${subject}, ${environment}, ${history},
  events.envelope(id, ${type}, now(), ${integration}, ${environment}, ${item}, ${user}, ${kind}, ${subject}, ${history}, data)
from (select tartan.new_id(now(), ${first} + part - 1) as id, data from (${text}) made offset 0) parts
returning id`,
  };
}

/**
 * Gives the rows $1 of the outbox their positions, and notifies those who read by position; also the channel $2 with the payload $3,
 * unless $3 is null, which saves its caller a statement.
 */
export const GIVE_POSITIONS: Statement = {
  name: "events_give_positions",
  text: `
with numbered as materialized (
  select id, nextval('events.positions') as position from (select unnest($1::bigint[]) as id order by 1) ordered
), given as (
  update events.outbox o set position = n.position from numbered n where o.id = n.id
)
select pg_notify('tartan_events', ''), case when $3::text is not null then pg_notify($2, $3) end`,
};

/** Notifies the dispatcher. */
export const NOTIFY_OUTBOX: Statement = {
  name: "events_notify_outbox",
  text: "select pg_notify('tartan_outbox', '')",
};

/** The same in a transaction of its own. Its commit need not wait for the disk: polling makes up for a lost hint. */
export const HINT_OUTBOX: Statement = {
  name: "events_hint_outbox",
  text: "select set_config('synchronous_commit', 'off', true), pg_notify('tartan_outbox', '')",
};

/** Notifies of webhooks: sync listens to the first channel, the relay to the second. */
const ARRIVED = "pg_notify('tartan_arrived', ''), pg_notify('tartan_outbox', '')";
export const NOTIFY_ARRIVED: Statement = { name: "events_notify_arrived", text: `select ${ARRIVED}` };

/** The same in a transaction of its own. Its commit need not wait for the disk: polling makes up for a lost hint. */
export const HINT_ARRIVED: Statement = {
  name: "events_hint_arrived",
  text: `select set_config('synchronous_commit', 'off', true), ${ARRIVED}`,
};

/**
 * The part of WITH that a statement which stores webhooks adds: two rows of the outbox, the relay's and sync's. Each names the ids
 * of the part `from` in their order; there is no row if it is empty.
 */
export const announced = (from: string): string => `announced as (
  insert into events.outbox (webhooks, types) select array_agg(id order by id), '{}' from ${from} having count(*) > 0
), unmarked as (
  insert into events.sync_outbox (webhooks) select array_agg(id order by id) from ${from} having count(*) > 0
)`;

/* Sync's part of the outbox. */

export const NOTE_NOTICE: Statement = {
  name: "events_note_notice",
  text: "insert into events.sync_outbox (notices) values ($1::jsonb)",
};
/** The oldest $1 that no other transaction has locked. */
export const LOCK_UNMARKED: Statement = {
  name: "events_lock_unmarked",
  text: "select id, webhooks, notices from events.sync_outbox order by id limit $1 for update skip locked",
};
export const DROP_UNMARKED: Statement = {
  name: "events_drop_unmarked",
  text: "delete from events.sync_outbox where id = any ($1::bigint[])",
};
/** A row after all others, for a part of the rows $3. */
export const KEEP_UNMARKED: Statement = {
  name: "events_keep_unmarked",
  text: `
insert into events.sync_outbox (webhooks, notices, written_at)
select $1::uuid[], $2::jsonb, min(written_at) from events.sync_outbox where id = any ($3::bigint[])`,
};
export const COUNT_UNMARKED: Statement = {
  name: "events_count_unmarked",
  text: `
select coalesce(sum(cardinality(webhooks) + jsonb_array_length(notices)), 0)::int as arrivals,
  coalesce(extract(epoch from now() - min(written_at)), 0)::float8 as oldest_seconds
from (select webhooks, notices, written_at from events.sync_outbox order by id limit 10000) oldest`,
};
