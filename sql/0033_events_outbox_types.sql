-- The types of the events that a row of the outbox names, so that a search for some types passes over the other rows without
-- reading their events.

alter table events.outbox add column types text[];     -- each once; null: not noted, the events may have any type
