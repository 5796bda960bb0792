-- What waits unproven is known by all of its JWT. The identity of an accepted JWT (token_sha256) leaves out half of the signature, so a copy with
-- another half has the same. While nobody can tell which of them Plaid signed, both wait.
alter table journal.unproven drop constraint unproven_token_sha256_key;
create index unproven_by_token on journal.unproven (token_sha256);
-- A JWT and an integration's id have no backslash, so the cast yields their bytes.
alter table journal.unproven add column jwt_sha256 bytea not null unique
  generated always as (sha256((integration_id || verification)::bytea)) stored;
