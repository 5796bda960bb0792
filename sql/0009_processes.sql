-- The Tartan processes that work on this database. Each writes its own row and refreshes seen_at while it lives, so that
-- a command in another terminal, folder or host finds the running server's URL and the settings that it checks
-- destinations against, and a person on call sees who is there.

create table tartan.processes (
  id         uuid primary key default gen_random_uuid(),
  host       text not null,
  pid        integer not null,
  version    text not null,
  roles      text[] not null,
  url        text not null,                            -- where this process listens
  public_url text,                                     -- TARTAN_PUBLIC_URL; null where it is not set
  settings   jsonb not null,                           -- {"relay_allow_http","relay_allowed_addresses"}
  started_at timestamptz not null default now(),
  seen_at    timestamptz not null default now()
);
