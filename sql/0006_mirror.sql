-- The copy of Plaid's data, for users and their BI tools: one table for each Plaid resource, columns named as Plaid names them
-- (a nested field is its path joined by _), money as numeric, the whole object in raw. Rows are never deleted: removed_at says
-- since when Plaid no longer has them, and the views plaid.current_… leave those out. added_at says since when Plaid has a row
-- (a row that comes back is added again), changed_at when a value of it last changed. Removed rows may be deleted after
-- TARTAN_REMOVED_ROWS_RETENTION_DAYS; the indexes …_removed find them and hold nothing else.

create schema plaid;
-- What the mirror needs beside the copy; no reader sees it.
create schema mirror;

create table plaid.items (
  integration_id          text not null,
  item_id                 text not null,
  user_id                 text,
  institution_id          text,
  institution_name        text,
  webhook                 text,
  auth_method             text,
  error_type              text,
  error_code              text,
  error                   jsonb,
  next_step               text,                        -- what to do about the error, in plain words
  available_products      text[],
  billed_products         text[],
  products                text[],
  consented_products      text[],
  consented_use_cases     text[],
  consented_data_scopes   text[],
  consent_expiration_time timestamptz,
  update_type             text,
  created_at              timestamptz,
  status_transactions_last_successful_update timestamptz,
  status_transactions_last_failed_update     timestamptz,
  status_investments_last_successful_update  timestamptz,
  status_investments_last_failed_update      timestamptz,
  status_last_webhook_sent_at                timestamptz,
  status_last_webhook_code_sent              text,
  raw                     jsonb not null,
  added_at                timestamptz not null default now(),
  changed_at              timestamptz not null default now(),
  removed_at              timestamptz,
  verified_at             timestamptz,                 -- all rows of the item were equal to Plaid then
  primary key (integration_id, item_id)
);
create index items_by_user on plaid.items (user_id) where user_id is not null;
create index items_removed on plaid.items (removed_at) where removed_at is not null;

create table plaid.accounts (
  integration_id                    text not null,
  item_id                           text not null,
  account_id                        text not null,
  persistent_account_id             text,
  name                              text,
  official_name                     text,
  mask                              text,
  type                              text,
  subtype                           text,
  holder_category                   text,
  verification_status               text,
  verification_name                 text,
  verification_insights             jsonb,
  apy                               numeric,
  balances_available                numeric,
  balances_current                  numeric,
  balances_limit                    numeric,
  balances_iso_currency_code        text,
  balances_unofficial_currency_code text,
  balances_last_updated_datetime    timestamptz,
  raw                               jsonb not null,
  added_at                          timestamptz not null default now(),
  changed_at                        timestamptz not null default now(),
  removed_at                        timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index accounts_removed on plaid.accounts (removed_at) where removed_at is not null;

create table plaid.transactions (
  integration_id                             text not null,
  item_id                                    text not null,
  transaction_id                             text not null,
  account_id                                 text,
  amount                                     numeric,    -- positive: money out
  iso_currency_code                          text,
  unofficial_currency_code                   text,
  date                                       date,
  datetime                                   timestamptz,
  authorized_date                            date,
  authorized_datetime                        timestamptz,
  name                                       text,
  original_description                       text,
  merchant_name                              text,
  merchant_entity_id                         text,
  logo_url                                   text,
  website                                    text,
  pending                                    boolean,
  pending_transaction_id                     text,
  account_owner                              text,
  payment_channel                            text,
  transaction_code                           text,
  check_number                               text,
  personal_finance_category_primary          text,
  personal_finance_category_detailed         text,
  personal_finance_category_confidence_level text,
  personal_finance_category_version          text,
  merchant_category_code                     text,
  running_balance                            numeric,
  location_city                              text,
  location_region                            text,
  location_postal_code                       text,
  location_country                           text,
  payment_meta_payee                         text,
  payment_meta_payer                         text,
  payment_meta_reference_number              text,
  counterparties                             jsonb,
  raw                                        jsonb not null,
  added_at                                   timestamptz not null default now(),
  changed_at                                 timestamptz not null default now(),
  removed_at                                 timestamptz,
  primary key (integration_id, item_id, transaction_id)
) with (fillfactor = 90);
-- With its columns a transaction is a little larger than the 2 kB above which Postgres compresses a row. Compressed rows would take a
-- quarter less of the disk, but each reading, change and event of them would cost a fifth more.
alter table plaid.transactions set (toast_tuple_target = 4080);
create index transactions_by_account_and_date on plaid.transactions (account_id, date);
create index transactions_removed on plaid.transactions (removed_at) where removed_at is not null;

create table plaid.holdings (
  integration_id             text not null,
  item_id                    text not null,
  account_id                 text not null,
  security_id                text not null,
  quantity                   numeric,
  institution_price          numeric,
  institution_price_as_of    date,
  institution_price_datetime timestamptz,
  institution_value          numeric,
  cost_basis                 numeric,
  vested_quantity            numeric,
  vested_value               numeric,
  iso_currency_code          text,
  unofficial_currency_code   text,
  tax_lots                   jsonb,
  raw                        jsonb not null,
  added_at                   timestamptz not null default now(),
  changed_at                 timestamptz not null default now(),
  removed_at                 timestamptz,
  primary key (integration_id, item_id, account_id, security_id)
);
create index holdings_removed on plaid.holdings (removed_at) where removed_at is not null;

-- Plaid has one row of a security for all items; here each item has its own, which goes with the item.
create table plaid.securities (
  integration_id                             text not null,
  item_id                                    text not null,
  security_id                                text not null,
  isin                                       text,
  cusip                                      text,
  sedol                                      text,
  institution_security_id                    text,
  institution_id                             text,
  proxy_security_id                          text,
  name                                       text,
  ticker_symbol                              text,
  is_cash_equivalent                         boolean,
  type                                       text,
  subtype                                    text,
  close_price                                numeric,
  close_price_as_of                          date,
  update_datetime                            timestamptz,
  iso_currency_code                          text,
  unofficial_currency_code                   text,
  market_identifier_code                     text,
  sector                                     text,
  industry                                   text,
  cfi_code                                   text,
  figi                                       text,
  option_contract_contract_type              text,
  option_contract_expiration_date            date,
  option_contract_strike_price               numeric,
  option_contract_underlying_security_ticker text,
  fixed_income_face_value                    numeric,
  fixed_income_issue_date                    date,
  fixed_income_maturity_date                 date,
  fixed_income_yield_rate_percentage         numeric,
  fixed_income_yield_rate_type               text,
  raw                                        jsonb not null,
  added_at                                   timestamptz not null default now(),
  changed_at                                 timestamptz not null default now(),
  removed_at                                 timestamptz,
  primary key (integration_id, item_id, security_id)
);
create index securities_removed on plaid.securities (removed_at) where removed_at is not null;

create table plaid.liabilities_credit (
  integration_id            text not null,
  item_id                   text not null,
  account_id                text not null,
  aprs                      jsonb,
  is_overdue                boolean,
  last_payment_amount       numeric,
  last_payment_date         date,
  last_statement_issue_date date,
  last_statement_balance    numeric,
  minimum_payment_amount    numeric,
  next_payment_due_date     date,
  raw                       jsonb not null,
  added_at                  timestamptz not null default now(),
  changed_at                timestamptz not null default now(),
  removed_at                timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index liabilities_credit_removed on plaid.liabilities_credit (removed_at) where removed_at is not null;

create table plaid.liabilities_mortgage (
  integration_id               text not null,
  item_id                      text not null,
  account_id                   text not null,
  account_number               text,
  current_late_fee             numeric,
  escrow_balance               numeric,
  has_pmi                      boolean,
  has_prepayment_penalty       boolean,
  interest_rate_percentage     numeric,
  interest_rate_type           text,
  last_payment_amount          numeric,
  last_payment_date            date,
  loan_type_description        text,
  loan_term                    text,
  maturity_date                date,
  next_monthly_payment         numeric,
  next_payment_due_date        date,
  origination_date             date,
  origination_principal_amount numeric,
  past_due_amount              numeric,
  property_address_street      text,
  property_address_city        text,
  property_address_region      text,
  property_address_postal_code text,
  property_address_country     text,
  ytd_interest_paid            numeric,
  ytd_principal_paid           numeric,
  raw                          jsonb not null,
  added_at                     timestamptz not null default now(),
  changed_at                   timestamptz not null default now(),
  removed_at                   timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index liabilities_mortgage_removed on plaid.liabilities_mortgage (removed_at) where removed_at is not null;

create table plaid.liabilities_student (
  integration_id                         text not null,
  item_id                                text not null,
  account_id                             text not null,
  account_number                         text,
  disbursement_dates                     text[],
  expected_payoff_date                   date,
  guarantor                              text,
  interest_rate_percentage               numeric,
  is_overdue                             boolean,
  last_payment_amount                    numeric,
  last_payment_date                      date,
  last_statement_balance                 numeric,
  last_statement_issue_date              date,
  loan_name                              text,
  loan_status_end_date                   date,
  loan_status_type                       text,
  minimum_payment_amount                 numeric,
  next_payment_due_date                  date,
  origination_date                       date,
  origination_principal_amount           numeric,
  outstanding_interest_amount            numeric,
  payment_reference_number               text,
  pslf_status_estimated_eligibility_date date,
  pslf_status_payments_made              numeric,
  pslf_status_payments_remaining         numeric,
  repayment_plan_description             text,
  repayment_plan_type                    text,
  sequence_number                        text,
  servicer_address_street                text,
  servicer_address_city                  text,
  servicer_address_region                text,
  servicer_address_postal_code           text,
  servicer_address_country               text,
  ytd_interest_paid                      numeric,
  ytd_principal_paid                     numeric,
  raw                                    jsonb not null,
  added_at                               timestamptz not null default now(),
  changed_at                             timestamptz not null default now(),
  removed_at                             timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index liabilities_student_removed on plaid.liabilities_student (removed_at) where removed_at is not null;

create table plaid.liabilities_loan (
  integration_id               text not null,
  item_id                      text not null,
  account_id                   text not null,
  account_number               text,
  interest_rate_percentage     numeric,
  interest_rate_type           text,
  principal_balance            numeric,
  origination_principal_amount numeric,
  origination_date             date,
  loan_term_months             numeric,
  maturity_date                date,
  payment_count                numeric,
  payment_frequency            text,
  next_payment_amount          numeric,
  next_payment_due_date        date,
  last_payment_amount          numeric,
  last_payment_date            date,
  payoff_amount                numeric,
  ytd_interest_paid            numeric,
  compounding_period           text,
  raw                          jsonb not null,
  added_at                     timestamptz not null default now(),
  changed_at                   timestamptz not null default now(),
  removed_at                   timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index liabilities_loan_removed on plaid.liabilities_loan (removed_at) where removed_at is not null;

create table plaid.liabilities_line_of_credit (
  integration_id            text not null,
  item_id                   text not null,
  account_id                text not null,
  aprs                      jsonb,
  interest_rate_percentage  numeric,
  interest_rate_type        text,
  credit_limit              numeric,
  available_credit          numeric,
  principal_balance         numeric,
  minimum_payment_amount    numeric,
  next_payment_amount       numeric,
  next_payment_due_date     date,
  last_payment_amount       numeric,
  last_payment_date         date,
  last_statement_balance    numeric,
  last_statement_issue_date date,
  past_due_amount           numeric,
  finance_charges           numeric,
  draw_period_end_date      date,
  raw                       jsonb not null,
  added_at                  timestamptz not null default now(),
  changed_at                timestamptz not null default now(),
  removed_at                timestamptz,
  primary key (integration_id, item_id, account_id)
);
create index liabilities_line_of_credit_removed on plaid.liabilities_line_of_credit (removed_at) where removed_at is not null;

create table plaid.institutions (
  integration_id  text not null,
  institution_id  text not null,
  name            text,
  products        text[],
  country_codes   text[],
  url             text,
  primary_color   text,
  logo            text,
  routing_numbers text[],
  dtc_numbers     text[],
  oauth           boolean,
  status          jsonb,
  raw             jsonb not null,
  added_at        timestamptz not null default now(),
  changed_at      timestamptz not null default now(),
  removed_at      timestamptz,
  verified_at     timestamptz,
  primary key (integration_id, institution_id)
);
create index institutions_removed on plaid.institutions (removed_at) where removed_at is not null;

create table plaid.institution_incidents (
  integration_id   text not null,
  institution_id   text not null,
  start_date       text not null,
  title            text not null,
  end_date         timestamptz,
  incident_updates jsonb,
  raw              jsonb not null,
  added_at         timestamptz not null default now(),
  changed_at       timestamptz not null default now(),
  removed_at       timestamptz,
  primary key (integration_id, institution_id, start_date, title)
);
create index institution_incidents_removed on plaid.institution_incidents (removed_at) where removed_at is not null;

create table plaid.issues (
  integration_id       text not null,
  issue_id             text not null,
  status               text,
  summary              text,
  detailed_description text,
  institution_ids      text[],
  institution_names    text[],
  created_at           timestamptz,
  raw                  jsonb not null,
  added_at             timestamptz not null default now(),
  changed_at           timestamptz not null default now(),
  removed_at           timestamptz,
  verified_at          timestamptz,
  primary key (integration_id, issue_id)
);
create index issues_removed on plaid.issues (removed_at) where removed_at is not null;

create table plaid.partner_customers (
  integration_id         text not null,
  end_customer_client_id text not null,
  flowdown_status        text,
  questionnaire_status   text,
  raw                    jsonb not null,
  added_at               timestamptz not null default now(),
  changed_at             timestamptz not null default now(),
  removed_at             timestamptz,
  verified_at            timestamptz,
  primary key (integration_id, end_customer_client_id)
);
create index partner_customers_removed on plaid.partner_customers (removed_at) where removed_at is not null;

create table plaid.partner_oauth_institutions (
  integration_id             text not null,
  end_customer_client_id     text not null,
  institution_id             text not null,
  name                       text,
  environments_production    text,
  environments_development   text,
  production_enablement_date text,
  classic_disablement_date   text,
  errors                     jsonb,
  raw                        jsonb not null,
  added_at                   timestamptz not null default now(),
  changed_at                 timestamptz not null default now(),
  removed_at                 timestamptz,
  primary key (integration_id, end_customer_client_id, institution_id)
);
create index partner_oauth_institutions_removed on plaid.partner_oauth_institutions (removed_at) where removed_at is not null;

-- The rows that Plaid has now. tartan.protect_mirror adds the filter by tenant, and makes such a view for each later table.
create view plaid.current_items with (security_barrier) as
  select * from plaid.items where removed_at is null;
create view plaid.current_accounts with (security_barrier) as
  select * from plaid.accounts where removed_at is null;
create view plaid.current_transactions with (security_barrier) as
  select * from plaid.transactions where removed_at is null;
create view plaid.current_institutions with (security_barrier) as
  select * from plaid.institutions where removed_at is null;

-- A reader is a login role that reads schema plaid and nothing else. Roles belong to the whole cluster, this table to one
-- database: a copy of the database recognizes another database's roles by the oid. The password is here because a role that
-- may read this table may read everything that the reader can see.
create table tartan.readers (
  role_name      name primary key,
  integration_id text,                                 -- null: sees every integration
  password       text not null,
  database       oid not null,
  created_at     timestamptz not null default now()
);
create unique index readers_by_scope on tartan.readers (database, coalesce(integration_id, ''));

-- Lets a reader read the mirror: a full reader everything, a tenant's reader the tables with row security and the views that
-- filter by tenant.
create function tartan.grant_mirror(reader name) returns void
language plpgsql as $$
declare
  relation text;
begin
  execute format('grant usage on schema plaid to %I', reader);
  for relation in
    select format('plaid.%I', c.relname) from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and (reader !~ '^tartan_tenant_' or c.relrowsecurity or c.relname = 'freshness' or exists (
        select from pg_class t
        where t.relnamespace = c.relnamespace and t.relrowsecurity and c.relname = 'current_' || t.relname))
  loop
    execute format('grant select on %s to %I', relation, reader);
  end loop;
end
$$;

-- The one integration that a role may see: null when it may see all, '' when it is a tenant's role that tartan.readers does not
-- list. It answers only about the caller's own role (or one that the caller may take on), so it tells a reader nothing about
-- other tenants.
create function plaid.tenant(role name) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case when role !~ '^tartan_tenant_' then null else coalesce(
    (select integration_id from tartan.readers
     where role_name = role and database = (select oid from pg_database where datname = current_database())
       and pg_has_role(session_user, role, 'member')),
    '') end
$$;

-- Gives every table of the mirror its row security and its view of current rows, and lets the readers read them. A migration
-- that makes or widens such a table ends with: select tartan.protect_mirror();
--
-- The owner of the tables is not subject to row security and pays nothing for it. The views run with their owner's rights, so
-- they filter themselves. A subquery of its own looks the role up once a query and not once a row.
create function tartan.protect_mirror() returns void
language plpgsql as $$
declare
  seen constant text := '((select plaid.tenant(current_user)) is null or integration_id = (select plaid.tenant(current_user)))';
  mirrored record;
  reader name;
begin
  for mirrored in
    select c.oid, c.relname, c.relrowsecurity from pg_class c
    where c.relnamespace = 'plaid'::regnamespace and c.relkind in ('r', 'p')
      and exists (select from pg_attribute where attrelid = c.oid and attname = 'integration_id' and not attisdropped)
  loop
    if not mirrored.relrowsecurity then
      execute format('create policy tenants on plaid.%I using %s', mirrored.relname, seen);
      execute format('alter table plaid.%I enable row level security', mirrored.relname);
    end if;
    if exists (select from pg_attribute where attrelid = mirrored.oid and attname = 'removed_at' and not attisdropped) then
      execute format('create or replace view plaid.%I with (security_barrier) as select * from plaid.%I where removed_at is null and %s',
        'current_' || mirrored.relname, mirrored.relname, seen);
    end if;
  end loop;
  for reader in
    select r.role_name from tartan.readers r join pg_roles on rolname = r.role_name
    where r.database = (select oid from pg_database where datname = current_database())
  loop
    perform tartan.grant_mirror(reader);
  end loop;
end
$$;

-- Pages of a loop that is not finished; one transaction applies them all. Unlogged: after a crash the loop starts over.
create unlogged table mirror.staged_pages (
  lease_token uuid not null,
  resource    text not null,
  page        integer not null,
  payload     text not null,                           -- as Plaid sent it; parsed once, when it is applied
  staged_at   timestamptz not null default now(),
  primary key (lease_token, resource, page)
);
alter table mirror.staged_pages alter column payload set storage external;

-- Values of Plaid's that do not fit their columns: null in the column, whole in raw, and listed here once for each item and
-- field. An item has at most as many rows as its tables have columns; they are deleted with the item.
create table mirror.unfit_values (
  integration_id text not null,
  kind           text not null,
  id             text not null,
  resource       text not null,
  table_name     text not null,                        -- the one of the resource's tables that holds the row
  field          text not null,                        -- path of the value, joined by dots
  expected       text not null,                        -- type of the column; object, where fields are expected inside
  found          text not null,                        -- JSON type of the value, or missing
  example        text,                                 -- key of a row that holds such a value
  rows           integer not null,                     -- how many such rows the latest reading held
  first_seen_at  timestamptz not null default now(),
  seen_at        timestamptz not null default now(),
  primary key (integration_id, kind, id, table_name, field)
);

-- Whether a column of type `expected` can hold the value. Strings are not read as numbers or booleans, since Plaid does not
-- write them so. A date must be in ISO 8601, although Postgres would understand more.
create function mirror.fits(value jsonb, expected text) returns boolean
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
  elsif expected = 'id' then -- text that an index can hold
    return found in ('string', 'number', 'boolean') and octet_length(value #>> '{}') <= 1000;
  elsif expected = 'numeric' then
    return found = 'number';
  elsif expected = 'decimal' then -- a number as text
    return found in ('string', 'number') and value #>> '{}' ~ '^-?[0-9]{1,100}([.][0-9]{1,100})?$';
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

-- A row of Plaid's with the texts and numbers at a path masked. The path leads through arrays; everything below its end is masked,
-- and so is a text that stands where the path leads on, since Plaid may have moved the value there. What is masked already stays
-- as it is, so a row may be masked again. null stays null: whether there is a value is no secret.
create function mirror.masked(value jsonb, path text[], mask text) returns jsonb
language plpgsql immutable parallel safe as $$
declare
  kind constant text := jsonb_typeof(value);
  written text;
begin
  if kind = 'array' then
    return (select coalesce(jsonb_agg(mirror.masked(e, path, mask) order by n), '[]')
      from jsonb_array_elements(value) with ordinality as x (e, n));
  elsif kind = 'object' and cardinality(path) > 0 then
    return case when value ? path[1]
      then value || jsonb_build_object(path[1], mirror.masked(value -> path[1], path[2:], mask)) else value end;
  elsif kind = 'object' then
    return (select coalesce(jsonb_object_agg(key, mirror.masked(e, path, mask)), '{}') from jsonb_each(value) as x (key, e));
  elsif kind = 'string' or kind = 'number' then
    written := value #>> '{}';
    return to_jsonb(case
      when mask = 'token' then '[cut]'
      -- At most half of it shows. Eight characters is also the length of what is written here, so that it stays as it is.
      when mask = 'last4' and length(written) >= 8 then '••••' || right(written, 4)
      when mask = 'last4' and length(written) > 4 then '••••' || right(written, 2)
      else '•••' end);
  end if;
  return value;
end
$$;

select tartan.protect_mirror();
