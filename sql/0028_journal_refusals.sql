-- Refused requests to the URL of a listener, beside those to the URL of an integration.
alter table journal.refusals add column listener_id text;
