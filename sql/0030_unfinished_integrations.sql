-- What concerns all items of an integration is done in parts, each a transaction of its own, after the change itself has committed.
-- What is still to be done is noted with the change, so that a process that ends in between leaves it to another.
alter table tartan.integrations add column unfinished text check (unfinished in (
  'retry',                                             -- its subjects are to be tried again with new credentials
  'end',                                               -- deleted: its tokens are to be wiped and its subjects ended
  'purge',                                             -- as 'end', and all its rows are to go
  'purged'));                                          -- they are gone; what late webhooks brought is to follow, and this row
