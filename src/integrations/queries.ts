/**
 * The statements of integrations/. Values are always bound; table and column names come from constants.
 */
import { share, take } from "../database/locks.ts";
import { DELETED_AT_ONCE } from "../database/parts.ts";
import type { Statement } from "../database/types.ts";
import type { SealedColumn } from "./sealed.ts";

/* The vault. */

/** Shared from before the keys are read until the sealed values have committed. */
export const LOCK_SEALING = share("sealing");
export const LOCK_ROTATION = take("sealing");

export const GET_SEALING_KEY: Statement = {
  name: "integrations_sealing_key",
  text: "select key_id from tartan.sealing_key",
};
export const INSERT_SEALING_KEY = "insert into tartan.sealing_key (key_id) values ($1) on conflict do nothing";
export const SET_SEALING_KEY = `
  insert into tartan.sealing_key (key_id) values ($1) on conflict (one) do update set key_id = excluded.key_id`;

/** $1: the first bytes of every seal of the active key */
export const COUNT_RESEALS = ({ table, column }: SealedColumn): string =>
  `select count(*) as count from ${table} where substring(${column} from 1 for 9) <> $1`;

/** A page in key order; $2 rows, after the key $3…, which is '' on the first page. */
export const SELECT_RESEALS = ({ table, column, key }: SealedColumn): string =>
  `select array[${key.join(", ")}] as key, ${column} as sealed from ${table}
    where substring(${column} from 1 for 9) <> $1 and (${key.join(", ")}) > (${key.map((_, index) => `$${index + 3}`).join(", ")})
    order by ${key.join(", ")} limit $2`;

/* Integrations. */

const PUBLIC = `id, service, name, environment, plaid_url, client_id, country_codes, days_requested,
  include_original_description, consumer_report_permissible_purpose, revealed_resources, enabled_resources,
  to_mask as masking_resources, adopt_items, link_client_name, link_language, revoked_data, created_at, updated_at`;

export const INSERT_INTEGRATION = `
  insert into tartan.integrations (id, service, name, environment, plaid_url, client_id, client_secret_sealed,
    webhook_secret_sealed, country_codes, days_requested, include_original_description, revealed_resources, enabled_resources,
    consumer_report_permissible_purpose, adopt_items, link_client_name, link_language, revoked_data)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
  returning ${PUBLIC}`;

export const LIST_INTEGRATIONS = `select ${PUBLIC} from tartan.integrations where deleted_at is null order by created_at, id`;
export const GET_INTEGRATION = `select ${PUBLIC} from tartan.integrations where id = $1 and deleted_at is null`;

/** $2…$6 and $9: null leaves what is there. $7 whether the days are changed, $8 to what; $10 and $11 the same of the purpose. */
export const UPDATE_INTEGRATION = `
  update tartan.integrations set
    name = coalesce($2, name), client_id = coalesce($3, client_id), client_secret_sealed = coalesce($4, client_secret_sealed),
    webhook_secret_sealed = coalesce($5, webhook_secret_sealed), country_codes = coalesce($6, country_codes),
    days_requested = case when $7::boolean then $8 else days_requested end,
    include_original_description = coalesce($9, include_original_description),
    consumer_report_permissible_purpose = case when $10::boolean then $11 else consumer_report_permissible_purpose end, updated_at = now()
  where id = $1 and deleted_at is null
  returning ${PUBLIC}`;

/** What its Link tokens say: null leaves what is there. $3 whether the name is changed, $4 to what. */
export const SET_LINK_OPTIONS = `
  update tartan.integrations set adopt_items = coalesce($2, adopt_items),
    link_client_name = case when $3::boolean then $4 else link_client_name end, link_language = coalesce($5, link_language)
  where id = $1 and deleted_at is null`;

export const SET_REVOKED_DATA = "update tartan.integrations set revoked_data = $2 where id = $1 and deleted_at is null";

/** What an integration reveals and enables; held until the end of the transaction. */
export const HOLD_REVEALS = `select revealed_resources as revealed, enabled_resources as enabled from tartan.integrations
  where id = $1 and deleted_at is null for no key update`;

/**
 * $2 the resources to reveal, $3 to enable; $4 those that are no longer revealed, $5 those that are to be read. What was noted to be
 * masked or read and is no longer so is left out.
 */
export const SET_REVEALS = `
  update tartan.integrations set revealed_resources = $2, enabled_resources = $3, reveals_version = reveals_version + 1,
    to_mask = array(select unnest(to_mask || $4::text[]) except select unnest($2::text[]) order by 1),
    to_read = array((select unnest(to_read) intersect select unnest($2::text[] || $3::text[])) union select unnest($5::text[]) order by 1)
  where id = $1`;

/** The rows that commits and masking lock. $2 resources that are, or were, revealed. */
export const ADD_REVEALS =
  "insert into tartan.reveals (integration_id, resource) select $1, unnest($2::text[]) on conflict do nothing";

/** Shares the locks of those of the resources $2 that are revealed; where none is, nothing is locked. */
export const SHARE_REVEALS: Statement = {
  name: "integrations_share_reveals",
  text: `
    select r.resource from tartan.reveals r join tartan.integrations i on i.id = r.integration_id
    where r.integration_id = $1 and r.resource = any ($2::text[]) and r.resource = any (i.revealed_resources)
    order by r.resource for share of r`,
};
export const REVEALED: Statement = {
  name: "integrations_revealed",
  text: "select revealed_resources as revealed from tartan.integrations where id = $1",
};
/** Has a row unless a commit shares the lock. */
export const TAKE_REVEAL =
  "select resource from tartan.reveals where integration_id = $1 and resource = $2 for update skip locked";

export const ENABLED: Statement = {
  name: "integrations_enabled",
  text: `select enabled_resources as enabled, consumer_report_permissible_purpose as "permissiblePurpose",
      revoked_data = 'erase' as "erasesRevoked"
    from tartan.integrations where id = $1`,
};

export const LIST_REVEALS_UNDER_WAY =
  "select id from tartan.integrations where to_mask <> '{}' or to_read <> '{}' order by id";
export const REVEALS_UNDER_WAY = `select to_mask as "toMask", to_read as "toRead", reveals_version::int as version
  from tartan.integrations where id = $1`;
/** $2 masked, $3 read; where the version is still $4. */
export const NOTE_REVEALS_DONE = `update tartan.integrations
  set to_mask = array_remove(to_mask, $2), to_read = array_remove(to_read, $3) where id = $1 and reveals_version = $4`;

/** Notes the work, unless more work is noted already. */
export const NOTE_RETRY = "update tartan.integrations set unfinished = 'retry' where id = $1 and deleted_at is null";

/** $2 the work: `end` or `purge`. A purged integration no longer exists, except for late webhooks. What is deleted need not be masked. */
export const DELETE_INTEGRATION = `
  update tartan.integrations
  set client_secret_sealed = null, webhook_secret_sealed = null, deleted_at = coalesce(deleted_at, now()), updated_at = now(),
    unfinished = case when unfinished = 'purge' then 'purge' else $2 end, to_read = '{}',
    to_mask = case when 'purge' in (unfinished, $2) then '{}' else to_mask end
  where id = $1 and unfinished is distinct from 'purged'`;

export const LIST_IDS = "select id from tartan.integrations";
export const LIST_UNFINISHED =
  "select id, unfinished from tartan.integrations where unfinished is not null order by id";
/** $2 the work that is done, $3 the next; null: none. */
export const NOTE_DONE = "update tartan.integrations set unfinished = $3 where id = $1 and unfinished = $2";

/** Some at a time, since each causes an event. */
const AT_ONCE = 1000;
export const DROP_TOKENS = `
  update tartan.items set access_token_sealed = null, updated_at = now()
  where integration_id = $1 and item_id = any (array(
    select item_id from tartan.items where integration_id = $1 and access_token_sealed is not null
    order by item_id limit ${AT_ONCE} for update))
  returning item_id, user_id`;

/** Without a payload: every role may listen, even a tenant's reader, which must not see other tenants' ids. */
export const NOTIFY_INTEGRATIONS = "select pg_notify('tartan_integrations', '')";
/**
 * Only once no process can store a webhook of it any more: a process that missed the notification uses its cached entry for 10 s, and
 * a webhook waits for its commit for 15 s at most.
 */
export const FORGET_INTEGRATION = `
  delete from tartan.integrations where id = $1 and deleted_at < now() - interval '1 minute'`;

/* The directory. */

/** Rows of one read of all integrations. */
export const INTEGRATIONS_MAX = 10_000;

export const LOAD_INTEGRATIONS: Statement = {
  name: "integrations_load",
  text: `
    select id, environment, plaid_url, client_id, client_secret_sealed, webhook_secret_sealed, country_codes,
      days_requested, include_original_description
    from tartan.integrations where deleted_at is null and ($1::text[] is null or id = any ($1))
    limit ${INTEGRATIONS_MAX}`,
};

/* Items. */

/** Locks the integration, shared, so that it is not deleted meanwhile. */
export const HOLD_INTEGRATION: Statement = {
  name: "integrations_hold",
  text: "select environment from tartan.integrations where id = $1 and deleted_at is null for share",
};
/** The same for several; those that are not there any more have no row. */
export const HOLD_INTEGRATIONS: Statement = {
  name: "integrations_hold_several",
  text: "select id from tartan.integrations where id = any ($1::text[]) and deleted_at is null order by id for share",
};

/** Whether the token whose SHA-256 is $6 was ended by a rotation, and a later one is there. */
const IS_FORMER = "(i.access_token_sealed is not null and $6 = any (i.former_tokens_sha256))";

/**
 * $5 the stored sealed token if it is the same as the new one: then its confirmation stays. A token that a rotation has ended
 * replaces nothing.
 */
export const UPSERT_ITEM: Statement = {
  name: "items_upsert",
  text: `
    insert into tartan.items as i (integration_id, item_id, user_id, access_token_sealed) values ($1, $2, $3, $4)
    on conflict (integration_id, item_id) do update set
      token_confirmed = i.token_confirmed and (${IS_FORMER} or coalesce(i.access_token_sealed = $5, false)),
      user_id = coalesce(excluded.user_id, i.user_id), updated_at = now(),
      access_token_sealed = case when ${IS_FORMER} then i.access_token_sealed else excluded.access_token_sealed end,
      linked_at = case when i.access_token_sealed is null then now() else i.linked_at end
    returning user_id, xmax = 0 as created, access_token_sealed = $4 as stored`,
};

/* Rotations of items' tokens. $1 integration, $2 item. */

/** $3 the rotation. Has a row if the item has a token. */
export const NOTE_ROTATION = `
  insert into tartan.token_rotations (integration_id, item_id, id)
  select integration_id, item_id, $3 from tartan.items
  where integration_id = $1 and item_id = $2 and access_token_sealed is not null
  on conflict (integration_id, item_id) do update set id = excluded.id, began_at = now()
  returning id`;
/** Not `for update`: rows that name the item, such as what a run notes of it, need not wait. */
export const HOLD_ITEM = "select from tartan.items where integration_id = $1 and item_id = $2 for no key update";
/** Has a row if the item was erased here. */
export const ERASED_ITEM = `select from tartan.audit_log
  where target = $2 and integration_id = $1 and action = 'item.erased' limit 1`;
/** $3 the rotation. Has a row while it is under way. */
export const HOLD_ROTATION = `
  select id from tartan.token_rotations where integration_id = $1 and item_id = $2 and id = $3 for update`;
export const DROP_ROTATION = "delete from tartan.token_rotations where integration_id = $1 and item_id = $2";
/** The same if it is the rotation $3. */
export const FORGET_ROTATION = `${DROP_ROTATION} and id = $3`;

/** As many tokens that were ended are known. */
const FORMER_MAX = 8;
/** $3 the new token, sealed, $4 the SHA-256 of the old one. */
export const REPLACE_TOKEN = `
  update tartan.items set access_token_sealed = $3, updated_at = now(),
    former_tokens_sha256 = (array[$4::bytea] || former_tokens_sha256)[1:${FORMER_MAX}]
  where integration_id = $1 and item_id = $2 and access_token_sealed is not null`;

/** The stored token. It waits for a transaction that is changing it. */
export const CURRENT_TOKEN: Statement = {
  name: "items_current_token",
  text: `select access_token_sealed as sealed from tartan.items
    where integration_id = $1 and item_id = $2 and access_token_sealed is not null for share`,
};

export const GET_ITEM_SECRET: Statement = {
  name: "items_get_secret",
  text: `
    select access_token_sealed as sealed, user_id, token_confirmed as confirmed from tartan.items
    where integration_id = $1 and item_id = $2 and access_token_sealed is not null`,
};

/** $3 the confirmed token, sealed. */
export const CONFIRM_TOKEN: Statement = {
  name: "items_confirm_token",
  text: `
    update tartan.items set token_confirmed = true
    where integration_id = $1 and item_id = $2 and access_token_sealed = $3 and not token_confirmed`,
};

/** Returns a row if it was linked. */
export const UNLINK_ITEM = `
    update tartan.items i set access_token_sealed = null, updated_at = now()
    from (select access_token_sealed is not null as linked from tartan.items where integration_id = $1 and item_id = $2 for update) was
    where i.integration_id = $1 and i.item_id = $2
    returning was.linked`;
export const PURGE_ITEMS = `delete from tartan.items where ctid = any (array(
  select ctid from tartan.items where integration_id = $1 limit ${DELETED_AT_ONCE}))`;
export const FORGET_ITEM = "delete from tartan.items where integration_id = $1 and item_id = $2";

/* Subjects that belong to no item. */

/** $4 user and $5 sealed token; null leaves what is there. */
export const UPSERT_SUBJECT: Statement = {
  name: "subjects_upsert",
  text: `
    insert into tartan.registered_subjects as s (integration_id, kind, id, user_id, token_sealed) values ($1, $2, $3, $4, $5)
    on conflict (integration_id, kind, id) do update set user_id = coalesce(excluded.user_id, s.user_id),
      token_sealed = coalesce(excluded.token_sealed, s.token_sealed), updated_at = now()
    returning xmax = 0 as created`,
};

export const GET_SUBJECT: Statement = {
  name: "subjects_get",
  text: `select user_id, token_sealed as sealed from tartan.registered_subjects
    where integration_id = $1 and kind = $2 and id = $3`,
};

/** Those of the subjects ($1 integrations, $2 kinds, $3 ids) that have a token. */
export const SUBJECTS_WITH_TOKEN: Statement = {
  name: "subjects_with_token",
  text: `
    select integration_id as "integrationId", kind, id
    from unnest($1::text[], $2::text[], $3::text[]) as k (integration_id, kind, id)
    join tartan.registered_subjects s using (integration_id, kind, id) where s.token_sealed is not null`,
};

export const FORGET_SUBJECT =
  "delete from tartan.registered_subjects where integration_id = $1 and kind = $2 and id = $3";
/** Ends the use of an integration's tokens; $1. */
export const DROP_SUBJECT_TOKENS = `update tartan.registered_subjects set token_sealed = null, updated_at = now()
  where ctid = any (array(select ctid from tartan.registered_subjects
    where integration_id = $1 and token_sealed is not null limit ${DELETED_AT_ONCE} for update))`;
export const PURGE_SUBJECTS = `delete from tartan.registered_subjects where ctid = any (array(
  select ctid from tartan.registered_subjects where integration_id = $1 limit ${DELETED_AT_ONCE}))`;

/* API keys. */

export const SET_KEY = `
  insert into tartan.api_keys (id, name, key_sha256) values ($1, $2, $3)
  on conflict (name) do update set key_sha256 = excluded.key_sha256`;
export const ADD_KEY =
  "insert into tartan.api_keys (id, name, key_sha256) values ($1, $2, $3) on conflict (name) do nothing";
export const HAS_KEY = "select 1 from tartan.api_keys where name = $1";
export const FIND_KEY: Statement = {
  name: "api_keys_find",
  text: "select id, name, key_sha256 from tartan.api_keys where key_sha256 = $1",
};
