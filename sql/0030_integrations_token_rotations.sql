-- Rotations of access tokens. Plaid ends the old token at once and shows the new one in one answer only.

-- A rotation that has begun and is not over: noted before Plaid is asked, deleted in the commit that stores the new token, or any other
-- token of the item. Where the process died in between, a file in the data directory may hold the new token. One row for each item at
-- most: of two rotations only the later one asks Plaid.
create table tartan.token_rotations (
  integration_id text not null,
  item_id        text not null,
  id             uuid not null,                        -- names the file
  began_at       timestamptz not null default now(),
  primary key (integration_id, item_id),
  foreign key (integration_id, item_id) references tartan.items (integration_id, item_id) on delete cascade
);

-- SHA-256 of the tokens that rotations have ended, the latest first, eight at most: a sender that repeats ITEM/CREATED with one of them
-- must not replace the token that works.
alter table tartan.items add column former_tokens_sha256 bytea[] not null default '{}';
