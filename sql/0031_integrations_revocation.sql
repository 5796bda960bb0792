-- What users have withdrawn at Plaid, and what becomes of it here.

alter table tartan.integrations
  add column revoked_data text not null default 'keep' check (revoked_data in (
    'keep',                                            -- rows get removed_at, as for anything that Plaid no longer has
    'erase'));                                         -- rows, and the events and webhooks that hold them, are deleted

-- Items and accounts that are to be erased, or were, where revoked_data is erase. The commit of the run that learned of it notes it; the
-- work follows in a transaction of its own. A row of an account stays: what of it arrives late is erased too, and an account that comes
-- back is read anew.
create table tartan.revocations (
  integration_id text not null,
  item_id        text not null,
  account_id     text not null default '',             -- empty: the whole item
  noted_at       timestamptz not null,                 -- when the run began that learned of it; a later reading may show the account again
  look_at        timestamptz not null default now(),   -- not before this: a run works on the item, or has not confirmed it yet
  erased_at      timestamptz,                          -- null: still to be done
  primary key (integration_id, item_id, account_id),
  foreign key (integration_id, item_id) references tartan.items (integration_id, item_id) on delete cascade
);
create index revocations_waiting on tartan.revocations (look_at) where erased_at is null;

-- JSON text without the elements of arrays, at any depth, that are objects with this account_id. The rest is the same text, so
-- that numbers stay as Plaid wrote them.
create function tartan.without_account(given json, account text) returns text
language plpgsql immutable parallel safe as $$
begin
  if position(account in given::text) = 0 then
    return given::text;
  end if;
  case json_typeof(given)
    when 'object' then
      return (select concat('{', string_agg(concat(to_json(key), ':', tartan.without_account(value, account)), ',' order by n), '}')
        from json_each(given) with ordinality as e (key, value, n));
    when 'array' then
      return (select concat('[', string_agg(tartan.without_account(value, account), ',' order by n), ']')
        from json_array_elements(given) with ordinality as e (value, n)
        where json_typeof(value) <> 'object' or (value ->> 'account_id') is distinct from account);
    else
      return given::text;
  end case;
end
$$;
