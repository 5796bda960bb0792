-- What arrived. Rows are written once; only processed_at and update_info are filled in later, in the transaction that
-- makes the mirror true. Ids are UUIDv7, so that ordering by id is ordering by time and a partition is a week of ids:
-- a page of the newest rows reads the newest partition's index and stops.

create schema journal;

create table journal.webhooks (
  id             uuid not null,
  integration_id text not null,
  source         text not null check (source in ('PLAID', 'BACKEND', 'FROM_LISTENER', 'RECONCILER')),
  subject_kind   text,                                 -- what it is about; null where Tartan does not know
  subject_id     text,
  item_id        text,
  user_id        text,
  webhook_type   text,                                 -- null where the body was not of a known shape
  webhook_code   text,
  environment    text,
  received_at    timestamptz not null,
  body           bytea not null,                       -- exactly what arrived; a backend's access_token is cut out first
  verification   text,                                 -- Plaid's own Plaid-Verification header; null for a backend's
  key_id         text,                                 -- kid of the key that proved it
  signed_at      timestamptz,                          -- iat
  processed_at   timestamptz,                          -- when a sync run had served it
  update_info    jsonb,                                -- what that run found
  primary key (id)
) partition by range (id);

-- One index serves an item's webhooks, by type, and by type and code: a partition holds a week, in which an item has
-- few rows, so the newest-first order costs a sort of a handful. The same for a user.
create index webhooks_by_item on journal.webhooks (item_id, webhook_type, webhook_code, id) where item_id is not null;
create index webhooks_by_user on journal.webhooks (user_id, webhook_type, webhook_code, id) where user_id is not null;
create index webhooks_by_item_and_source on journal.webhooks (item_id, source, id) where source <> 'PLAID';
create index webhooks_by_integration on journal.webhooks (integration_id, id);

create table journal.webhooks_default partition of journal.webhooks default;

-- The JWTs of the last days, so that the same one twice is one webhook. A JWT's iat is part of it, so the same JWT
-- always meets itself in the same partition, and old days are dropped whole.
create table journal.accepted_tokens (
  token_sha256 bytea not null,
  signed_at    timestamptz not null,
  webhook_id   uuid not null,
  primary key (token_sha256, signed_at)
) partition by range (signed_at);
create table journal.accepted_tokens_default partition of journal.accepted_tokens default;

-- Requests that were refused, so that a wrong secret is seen and not guessed. Bounded by the janitor.
create table journal.refusals (
  id             bigint generated always as identity primary key,
  refused_at     timestamptz not null default now(),
  integration_id text,
  reason         text not null,                        -- stable code, such as signature_invalid
  detail         text,                                 -- one sentence, without payload
  remote_address text,
  body_bytes     integer,
  count          integer not null default 1            -- alike refusals that were folded into this row
);
create index refusals_by_integration on journal.refusals (integration_id, id);

-- The least UUIDv7 of an instant.
create function journal.least_id_at(instant timestamptz) returns uuid
language sql immutable parallel safe as $$
  select (lpad(to_hex(floor(extract(epoch from instant) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Makes the partitions that the coming weeks (webhooks) and days (tokens) need. Safe to call often and from several
-- processes at once.
create function journal.ensure_partitions(at timestamptz default now()) returns void
language plpgsql as $$
declare
  first_day timestamptz;
  name text;
begin
  perform pg_advisory_xact_lock(hashtext('journal.ensure_partitions'));
  for first_day in
    select generate_series(date_trunc('week', at, 'UTC') - interval '1 week',
                           date_trunc('week', at, 'UTC') + interval '4 weeks', interval '1 week')
  loop
    name := 'webhooks_' || to_char(first_day at time zone 'UTC', 'IYYY"w"IW');
    if to_regclass('journal.' || name) is null then
      execute format('create table journal.%I partition of journal.webhooks for values from (%L) to (%L) with (fillfactor = 85)',
        name, journal.least_id_at(first_day), journal.least_id_at(first_day + interval '1 week'));
    end if;
  end loop;
  for first_day in
    select generate_series(date_trunc('day', at, 'UTC') - interval '3 days',
                           date_trunc('day', at, 'UTC') + interval '7 days', interval '1 day')
  loop
    name := 'accepted_tokens_' || to_char(first_day at time zone 'UTC', 'YYYYMMDD');
    if to_regclass('journal.' || name) is null then
      execute format('create table journal.%I partition of journal.accepted_tokens for values from (%L) to (%L)',
        name, first_day, first_day + interval '1 day');
    end if;
  end loop;
end
$$;

select journal.ensure_partitions();
