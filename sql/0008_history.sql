-- Whether the first reading of a resource is behind us. Until it is, rows come that are new to Tartan only, and their events
-- say so. What was read by versions that did not tell is not history any more.
alter table sync.cursors add column complete boolean not null default true;
