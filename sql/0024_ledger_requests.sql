-- Requests that carried an Idempotency-Key, with their answers: a repeat within a day is given the first answer again. Keys and
-- requests are kept as hashes; answers are jobs, which hold no secret.
create table relay.requests (
  key_sha256     bytea primary key,
  request_sha256 bytea not null,                       -- of method, path and body
  status         integer,                              -- null only inside the transaction that works on it
  answer         json,
  created_at     timestamptz not null default now()
);
create index requests_by_age on relay.requests (created_at);
