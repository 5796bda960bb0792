-- Which master key seals, for all processes on this database: one row, none before the first seal. A process that starts
-- with a new key goes on sealing under this one; only a rotation changes it, once every process knows the new key.

create table tartan.sealing_key (
  one    boolean primary key default true check (one),
  key_id text not null check (key_id ~ '^[0-9a-f]{16}$')   -- bytes 1-8 of every seal
);

-- What was sealed last says which key seals so far.
insert into tartan.sealing_key (key_id)
select encode(substring(webhook_secret_sealed from 2 for 8), 'hex')
from tartan.integrations
where webhook_secret_sealed is not null
order by updated_at desc
limit 1;

-- Fingerprints of the master keys that the process can open; null for one that reads a new key by itself.
alter table tartan.processes add column master_key_ids text[];
