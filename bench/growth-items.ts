/** Rows of every table that grows with the items, for growth.ts: as many items as asked, and what a company that has them has. */
import { execute } from "../test/support/execute.ts";
import { clientSecret, webhookSecret } from "../src/integrations/sealed.ts";
import type { World } from "./world.ts";

/** Of them, so many of a hundred. */
const STATUS =
  "case when n % 100 = 1 then 'needs_user' when n % 100 = 2 then 'retrying' when n % 100 = 3 then 'ended' when n % 25 = 9 then 'unlinked' else 'ok' end";
const INTEGRATION = "'svi_filled_' || n % 4";
/** Events, deliveries and runs of the last six days. */
const AT = "date_trunc('day', now()) - interval '6 days' * (1 - n::float8 / $1)";
/** As tartan.new_id makes them, and the same at each use in a statement. */
const id = (seed: string): string =>
  `(substr(tartan.least_id_at(${AT})::text, 1, 14) || '7' || substr(md5('${seed}' || n), 1, 3) || '-8' || substr(md5('${seed}' || n), 4, 3) || '-' || substr(md5('${seed}' || n), 8, 12))::uuid`;
/** In the order of their numbers, so that filling reads no page twice. */
const ITEM = "'many-' || lpad(n::text, 7, '0')";
const OTHER = "'many-' || lpad(((n * 7919::bigint) % $1)::text, 7, '0')";
const USER = "'person-' || lpad(n::text, 7, '0')";
const DESTINATION = "'dst_filled_' || n % 4";

const FILL_INTEGRATION = `
  insert into tartan.integrations (id, service, name, environment, plaid_url, client_id, client_secret_sealed, webhook_secret_sealed)
  values ($1, 'plaid_item_v1', $1, 'sandbox', 'http://127.0.0.1:1', 'filled', $2, $3)`;

/** In the order of their references. $1 is the number of items. */
const FILL: readonly string[] = [
  `insert into tartan.items (integration_id, item_id, user_id, access_token_sealed, token_confirmed, check_at, checked_at)
    select ${INTEGRATION}, ${ITEM}, ${USER}, case when n % 25 <> 9 then '\\x00'::bytea end, true, now() + interval '5 days' + random() * interval '1 day', now() - interval '1 day'
    from generate_series(1, $1::int) n`,
  `insert into sync.subjects (integration_id, kind, id, due_at, status, verified_at, created_at)
    select ${INTEGRATION}, 'item', ${ITEM}, case when n % 10 in (0, 2) then now() + interval '30 days' end, ${STATUS}, now(), now() - interval '60 days'
    from generate_series(1, $1::int) n`,
  `insert into sync.subjects (integration_id, kind, id, due_at, status, verified_at, created_at)
    select ${INTEGRATION}, case n % 2 when 0 then 'payment' else 'asset_report' end, 'subject-' || n, null, ${STATUS}, now(), now() - interval '60 days'
    from generate_series(1, $1::int / 10) n`,
  `insert into sync.cursors (integration_id, kind, id, resource, cursor, rows, verified_at)
    select ${INTEGRATION}, 'item', ${ITEM}, resource, 'c', 3, now() - random() * interval '1 day'
    from generate_series(1, $1::int) n cross join unnest('{accounts,transactions}'::text[]) resource`,
  `insert into plaid.items (integration_id, item_id, user_id, institution_id, webhook, raw, verified_at)
    select ${INTEGRATION}, ${ITEM}, ${USER}, 'ins_' || n % 50, 'http://127.0.0.1:1', '{}', now() from generate_series(1, $1::int) n`,
  `insert into sync.runs (id, integration_id, kind, subject_id, started_at, finished_at, outcome, webhooks, summary)
    select ${id("run")}, ${INTEGRATION}, 'item', ${OTHER}, ${AT}, ${AT}, 'synced', 1, '{"outcome":"synced"}' from generate_series(1, $1::int / 4) n`,
  `insert into sync.notices (integration_id, item_id, kind, since, announced_at)
    select ${INTEGRATION}, ${ITEM}, 'new_accounts', now(), now() from generate_series(1, $1::int) n where n % 100 = 7`,
  `insert into events.events (id, type, integration_id, item_id, user_id, environment, occurred_at, payload)
    select ${id("evt")}, 'transactions.changed', ${INTEGRATION}, ${OTHER}, ${USER}, 'sandbox', ${AT}, convert_to('{"data":{"added":[],"modified":[],"removed":[]}}', 'UTF8')
    from generate_series(1, $1::int / 4) n`,
  `insert into events.outbox (events, types, position, written_at)
    select array_agg(id order by id), '{transactions.changed}', nextval('events.positions'), min(occurred_at)
    from (select id, occurred_at, (row_number() over (order by id) - 1) / 4 as part from events.events where integration_id like 'svi_filled%' and $1 > 0) e group by part order by part`,
  `insert into relay.destinations (id, name, url, ordering, paused_at)
    select 'dst_filled_' || n, 'filled ' || n, 'http://127.0.0.1:1/' || $1, case n % 2 when 0 then 'parallel' else 'per_item' end, now() from generate_series(0, 3) n`,
  `insert into relay.health (destination_id, worker) select id, null from relay.destinations where id like 'dst_filled%' and $1 > 0`,
  `insert into relay.deliveries (id, destination_id, event_id, event_type, integration_id, item_id, user_id, ordering_key, route_id, route_version,
      form, status, due_at, attempts, tries, cause, created_at, finished_at)
    select ${id("dlv")}, ${DESTINATION}, ${id("evt")}, 'transactions.changed', ${INTEGRATION}, ${OTHER}, ${USER},
      case n % 2 when 1 then ${OTHER} end, 'rte_filled', 1, 'event',
      case when n % 100 = 1 then 'dead' when n % 100 in (2, 3) then 'scheduled' else 'delivered' end, now(), 1, 1,
      case when n % 100 = 1 then 'status_500' end, ${AT}, case when n % 100 not in (2, 3) then ${AT} end
    from generate_series(1, $1::int / 4) n`,
  `insert into relay.attempts (delivery_id, number, started_at, duration_ms, url, status)
    select id, 1, created_at, 5, 'http://127.0.0.1:1/', 200 from relay.deliveries where $1 > 0`,
  `insert into tartan.audit_log (id, at, actor, action, integration_id, target)
    select ${id("aud")}, ${AT}, 'admin key', 'item.synced', ${INTEGRATION}, ${ITEM} from generate_series(1, $1::int / 5) n`,
  `insert into journal.refusals (integration_id, reason, remote_address) select ${INTEGRATION}, 'unknown_key', '127.0.0.1' from generate_series(1, least($1::int, 10000)) n`,
  `insert into journal.unproven (id, integration_id, key_id, token_sha256, claimed_at, received_at, body, verification, vouched, claimed_item_id, claimed_type, claimed_code)
    select ${id("unp")}, ${INTEGRATION}, 'kid-' || n % 8, sha256(convert_to(n::text, 'UTF8')), now(), now(), '{}', 'x' || n, true, ${ITEM}, 'ITEM', 'ERROR'
    from generate_series(1, least($1::int, 10000)) n`,
  `insert into silence.plaid_deliveries (integration_id, message_id, webhook_type, webhook_code, item_id, subject_kind, subject_id, sent_at, status, attempts, to_intake, outcome)
    select ${INTEGRATION}, 'message-' || n, 'TRANSACTIONS', 'SYNC_UPDATES_AVAILABLE', ${OTHER}, 'item', ${OTHER}, ${AT},
      case n % 100 when 1 then 'FAILED' else 'DELIVERED' end, 1, true, case n % 100 when 1 then 'recovered' else 'received' end
    from generate_series(1, $1::int / 4) n`,
  `insert into fleet.jobs (id, kind, status, integration_id, asked, per_minute, finished_at)
    select 'job_filled_' || n, 'check', 'done', 'svi_filled_0', '{}', 100, now() from generate_series(1, least($1::int / 100, 1000)) n`,
  `insert into fleet.members (job_id, n, integration_id, item_id, state, phase)
    select 'job_filled_1', n, ${INTEGRATION}, ${ITEM}, 'equal', 'done' from generate_series(1, $1::int / 4) n`,
  `insert into linking.public_tokens (id, integration_id, token_sha256, adopt, status, received_at, expires_at, user_id, item_id, settled_at)
    select ${id("pub")}, ${INTEGRATION}, sha256(convert_to(n::text, 'UTF8')), true, 'linked', ${AT}, ${AT}, ${USER}, ${ITEM}, ${AT} from generate_series(1, $1::int / 10) n`,
  `insert into journal.accepted_tokens (token_sha256, signed_at, webhook_id)
    select sha256(convert_to(n::text, 'UTF8')), now() - interval '2 days' * random(), ${id("tok")} from generate_series(1, $1::int / 4) n`,
  `insert into journal.webhooks (id, integration_id, source, subject_kind, subject_id, item_id, user_id, webhook_type, webhook_code, environment, received_at, body, processed_at, update_info)
    select ${id("gap")}, ${INTEGRATION}, 'RECONCILER', 'item', ${ITEM}, ${ITEM}, ${USER}, 'TARTAN', 'GAP_FOUND', 'sandbox', ${AT}, '{"differences":[]}', ${AT}, '{"outcome":"synced"}'
    from generate_series(1, $1::int / 10) n`,
];

/** Fills the tables with so many items, unless they are there already. */
export async function fillItems({ database, databaseUrl, vault }: World, items: number): Promise<void> {
  const { rows } = await database.query<{ full: boolean }>("select exists (select from relay.attempts) as full");
  if (rows[0]?.full) return;
  for (const id of ["svi_filled_0", "svi_filled_1", "svi_filled_2", "svi_filled_3"]) {
    const sealed = [vault.seal("secret", clientSecret(id)), vault.seal("secret", webhookSecret(id))];
    await database.query(FILL_INTEGRATION, [id, ...sealed]);
  }
  for (const text of FILL) {
    // Checking a foreign key takes longer than inserting the row.
    const isReferring = /into (tartan\.items|relay\.attempts)/.test(text);
    await execute(databaseUrl, `set session_replication_role = ${isReferring ? "replica" : "origin"}`, {
      text,
      values: [items],
    });
  }
  await execute(databaseUrl, "vacuum analyze", "checkpoint");
}
