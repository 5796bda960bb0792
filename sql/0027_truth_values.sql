-- Values of Plaid's that do not fit their columns: null there, whole in raw, and noted here once for each item and field. At
-- most as many rows an item as its tables have columns; they go with the item.
create table sync.unfit_values (
  integration_id text not null,
  kind           text not null,
  id             text not null,
  resource       text not null,
  field          text not null,                        -- path of the value, joined by dots
  expected       text not null,                        -- type of the column; object, where fields are expected inside
  found          text not null,                        -- JSON type of the value, or missing
  example        text,                                 -- key of a row that holds such a value
  rows           integer not null,                     -- how many such rows the latest reading held
  first_seen_at  timestamptz not null default now(),
  seen_at        timestamptz not null default now(),
  primary key (integration_id, kind, id, resource, field),
  foreign key (integration_id, kind, id) references sync.subjects on delete cascade
);

-- Whether a column of type `expected` can hold the value. Strings are not read as numbers or booleans, since Plaid does not
-- write them so; a date must be written as ISO 8601 has it, whatever else Postgres would understand.
create function sync.fits(value jsonb, expected text) returns boolean
language plpgsql stable as $$
declare
  found constant text := coalesce(jsonb_typeof(value), 'null');
  written text;
begin
  if expected = 'key' then
    return found in ('string', 'number') and octet_length(value #>> '{}') between 1 and 1000;
  elsif found = 'null' or expected = 'jsonb' then
    return true;
  elsif expected = 'text' then
    return found in ('string', 'number', 'boolean');
  elsif expected = 'id' then -- text that an index holds
    return found in ('string', 'number', 'boolean') and octet_length(value #>> '{}') <= 1000;
  elsif expected = 'numeric' then
    return found = 'number';
  elsif expected = 'text[]' then
    return found = 'array';
  elsif expected in ('boolean', 'object') then
    return found = expected;
  end if;
  written := value #>> '{}';
  if found <> 'string' or written not like '____-__-__%' then
    return false;
  end if;
  if expected = 'date' then perform written::date; else perform written::timestamptz; end if;
  return true;
exception when data_exception then
  return false;
end
$$;
