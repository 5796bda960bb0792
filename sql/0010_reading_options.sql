-- What transactions are asked for with, by integration; and with which of it each resource was read last.

alter table tartan.integrations
  add column days_requested integer check (days_requested between 1 and 730),   -- null: Plaid's default, 90
  add column include_original_description boolean not null default false;

-- Options of the request that shape rows. While they differ from the integration's, the next run reads everything again.
alter table sync.cursors add column read_with text not null default '';
