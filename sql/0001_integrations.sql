-- For whom Tartan works: integrations (one Plaid client each), the items they linked with their sealed tokens, and the
-- keys that open the API. Whatever ends in _sealed is ciphertext of the vault, bound to its row; nothing in the clear.

create schema tartan;

create table tartan.integrations (
  id                    text primary key,              -- svi_…, part of the intake URL
  service               text not null,                 -- plaid_item_v1
  name                  text not null,
  environment           text not null check (environment in ('sandbox', 'production')),
  plaid_url             text not null,                 -- Plaid's API, or a simulator's
  client_id             text not null,
  client_secret_sealed  bytea,                         -- null once deleted
  webhook_secret_sealed bytea,                         -- null once deleted
  country_codes         text[] not null default '{US}', -- asked of /institutions/get_by_id
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  deleted_at            timestamptz
);

create table tartan.items (
  integration_id      text not null references tartan.integrations (id),
  item_id             text not null,
  user_id             text,                            -- your identifier of the user: Plaid's client_user_id
  access_token_sealed bytea,                           -- null once the item was removed
  linked_at           timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  primary key (integration_id, item_id)
);
create index items_by_item on tartan.items (item_id);
create index items_by_user on tartan.items (user_id, item_id) where user_id is not null;

create table tartan.api_keys (
  id         text primary key,                         -- key_…
  name       text not null unique,
  key_sha256 bytea not null unique,
  created_at timestamptz not null default now()
);

-- Plaid's public keys, kept so that a restart does not ask for them again. Keys belong to a Plaid environment.
create table tartan.verification_keys (
  plaid_url  text not null,
  kid        text not null,
  jwk        jsonb not null,
  expired_at timestamptz,
  fetched_at timestamptz not null default now(),
  primary key (plaid_url, kid)
);
