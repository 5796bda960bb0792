-- What Plaid does not say: the webhooks that Plaid says it sent, beside what the journal has, and how far each integration's list of
-- them was read.

create schema silence;

-- How far the list of an integration's webhooks at Plaid (/beta/webhook_events/list) was read. One process at a time reads it.
create table silence.sent_lists (
  integration_id   text primary key,
  state            text not null default 'unknown' check (state in (
    'unknown',                                         -- not asked yet
    'available',
    'unavailable')),                                   -- Plaid has not opened it to this client; asked again daily
  next_at          timestamptz not null,               -- read next; while a process reads it: the end of its lease
  lease            bigint not null default 0,          -- fencing token: raised by each claim
  cursor           text,                               -- Plaid's; null: from the beginning
  read_to          timestamptz,                        -- every webhook that Plaid sent until then is in plaid_deliveries
  recheck_cursor   text,                               -- a second reading, of webhooks that Plaid has not delivered, is under way
  recheck_from     timestamptz,                        -- it began with webhooks that were sent then; null: none is under way
  recheck_began_at timestamptz,
  error            jsonb,                              -- {"error_type","error_code","at"} of the last request; null after a success
  asked_at         timestamptz                         -- Plaid answered then, with the list or with a refusal
);
create index sent_lists_by_next on silence.sent_lists (next_at);

-- A webhook that Plaid says it sent. Rows are kept for eight days: one more than Plaid lists them, so that none is counted twice. They
-- leave by the thousand each hour, so autovacuum runs early enough that their space is used again.
create table silence.plaid_deliveries (
  integration_id  text not null,
  message_id      text not null,                       -- Plaid's webhook_message_id
  webhook_type    text not null,
  webhook_code    text not null,
  item_id         text,
  subject_kind    text,
  subject_id      text,
  sent_at         timestamptz not null,                -- by Plaid's clock, as last_attempt_at
  status          text not null check (status in ('PENDING', 'DELIVERED', 'FAILED')),
  last_http_status integer,                            -- of the last attempt; null: no answer, or not said
  attempts        integer not null,
  last_attempt_at timestamptz,
  to_intake       boolean not null,                    -- sent to this integration's intake, and not to another URL
  outcome         text not null check (outcome in (
    'open',                                            -- Plaid tries again, or it is not known yet whether the journal has it
    'received',                                        -- the journal has it
    'recovered',                                       -- it never arrived; journaled as RECONCILER from Plaid's list
    'elsewhere',                                       -- sent to another URL
    'not_needed')),                                    -- it never arrived, and its item is not linked or has been read anew since
  webhook_id      uuid,                                -- of the journal's row
  payload         text,                                -- without tokens, at most 64 KiB; only while it is open
  seen_at         timestamptz not null default now(),  -- read in Plaid's list for the last time
  primary key (integration_id, message_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
create index plaid_deliveries_by_time on silence.plaid_deliveries (sent_at, integration_id, message_id);
create index plaid_deliveries_by_integration on silence.plaid_deliveries (integration_id, sent_at, message_id);
create index plaid_deliveries_by_item on silence.plaid_deliveries (item_id, sent_at, integration_id, message_id) where item_id is not null;
create index plaid_deliveries_undelivered on silence.plaid_deliveries (integration_id, sent_at, message_id) where status <> 'DELIVERED';
create index plaid_deliveries_to_decide on silence.plaid_deliveries (integration_id, sent_at) where outcome = 'open' and status <> 'PENDING';
-- A webhook of the journal is that of one delivery at most.
create unique index plaid_deliveries_by_webhook on silence.plaid_deliveries (webhook_id) where webhook_id is not null;

-- Whether Plaid's webhooks of an integration still come. One process at a time looks at an integration.
create table silence.watches (
  integration_id  text primary key,
  look_at         timestamptz not null,                -- next look; during a look: the end of its lease
  lease           bigint not null default 0,           -- fencing token: raised by each claim
  looked_at       timestamptz,                         -- the last look
  watched_since   timestamptz,                         -- looks have been made without a long break since then
  read_to         timestamptz,                         -- the journal was read for webhooks of Plaid until then
  last_webhook    uuid,                                -- of Plaid, in the journal
  last_webhook_at timestamptz,
  active_hours    integer[] not null default '{}',     -- hours since 1970 of the last two weeks with a webhook of Plaid, in their order
  stopped_at      timestamptz,                         -- the alarm was raised then; null: no alarm
  silent_since    timestamptz,                         -- last_webhook_at at the alarm
  cause           text,                                -- why; also without an alarm while Plaid does not answer
  details         jsonb                                -- {"message","next_step","missed","usual_pause_s"}
);
create index watches_by_look on silence.watches (look_at);
create index watches_with_cause on silence.watches (integration_id) where cause is not null;

-- How fresh each resource of each integration is: counted in passes over sync.cursors, so that reading it costs nothing.
create table silence.freshness (
  integration_id     text not null,
  kind               text not null,                    -- of the subjects that have the resource: item, payment …
  resource           text not null,
  subjects           bigint not null,                  -- subjects that have the resource and are not over
  within_window      bigint not null,                  -- those read, or checked without a difference, within the window
  never_read         bigint not null,                  -- those whose first reading is not over
  oldest_verified_at timestamptz,                      -- of those that were read
  primary key (integration_id, kind, resource)
);
create table silence.freshness_items (
  integration_id     text primary key,
  items              bigint not null,                  -- linked items
  unread             bigint not null                   -- linked items that were never read
);
-- One row: the last pass, and the process that makes the next.
create table silence.freshness_pass (
  only_one       boolean primary key default true check (only_one),
  next_at        timestamptz not null default now(),   -- during a pass: the end of its lease
  lease          bigint not null default 0,            -- fencing token: raised by each claim
  as_of          timestamptz,                          -- the last finished pass began then
  window_seconds float8,
  took_seconds   float8
);
insert into silence.freshness_pass default values;
