-- Plaid's public keys, kept so that a restart does not fetch them again. Keys belong to a Plaid environment.
create table tartan.verification_keys (
  plaid_url  text not null,
  kid        text not null,
  jwk        jsonb not null,
  expired_at timestamptz,
  fetched_at timestamptz not null default now(),
  primary key (plaid_url, kid)
);
