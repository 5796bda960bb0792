-- Plaid's public keys, kept so that a restart does not fetch them again. Keys belong to a Plaid environment.
create table tartan.verification_keys (
  plaid_url  text not null,
  kid        text not null,
  jwk        jsonb not null,
  expired_at timestamptz,
  fetched_at timestamptz not null default now(),
  primary key (plaid_url, kid)
);

-- How many requests each integration has sent to Plaid. A request that Plaid bills is counted before it is sent, the others some
-- seconds later. Days are UTC.
create table tartan.plaid_calls (
  integration_id text not null,
  day            date not null,
  endpoint       text not null,                        -- such as /transactions/sync
  calls          bigint not null,
  failures       bigint not null,                      -- refused by Plaid, or failed on the way
  billed         bigint not null,                      -- of endpoints that Plaid bills by request
  primary key (integration_id, day, endpoint)
);
create index plaid_calls_by_day on tartan.plaid_calls (day);
