-- Plaid has answered the item's access token with this very item. Until it has, nothing that the token reads is mirrored.
alter table tartan.items add column token_confirmed boolean not null default false;

-- What to do about an item's error, in plain words.
alter table plaid.items add column next_step text;
select tartan.protect_mirror();
