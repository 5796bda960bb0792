-- What an integration's Link tokens say unless one says otherwise, and whether Tartan links new items by itself.

alter table tartan.integrations
  add column adopt_items      boolean not null default false, -- public tokens in Plaid's webhooks are exchanged
  add column link_client_name text,                           -- client_name of Link tokens; null: each says its own
  add column link_language    text not null default 'en';     -- language of Link tokens
