/** What the tables hold about an item: what erasing has to leave, and to take. */
import { append } from "../../src/journal/append.ts";
import type { EventReader } from "../sync/event-reader.ts";
import { markAll } from "../support/mark.ts";
import { webhook } from "../support/webhook.ts";
import type { Item, World } from "../support/world/index.ts";

interface Given {
  world: World<"integration">;
  reader: EventReader;
}

/** Links a new item, and lets a run read it. */
export async function linked(
  { world, reader }: Given,
  products: string[] = ["transactions"],
  transactions = 40,
): Promise<Item> {
  const [item] = world.integration.makeItems(1, transactions, {
    products,
    user: "user_good",
    institution_id: "ins_109508",
  });
  if (!item) throw new Error("no item");
  await world.integration.link(item);
  await reader.work();
  return item;
}

/** All that the tables hold about an item, as text, by table. */
export async function written({ database }: Pick<World, "database">, itemId: string): Promise<Map<string, string>> {
  const { rows: mirrored } = await database.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attname = 'item_id'
     where n.nspname = 'plaid' and c.relkind = 'r' order by 1`,
  );
  const statements = new Map(
    mirrored.map(({ name }) => [name, `select to_jsonb(t)::text as text from ${name} t where item_id = $1`]),
  );
  statements.set("runs", "select summary::text as text from sync.runs where subject_id = $1");
  statements.set("cursors", "select resource || ' ' || rows as text from sync.cursors where id = $1");
  statements.set(
    "webhooks",
    "select concat(convert_from(body, 'UTF8'), update_info) as text from journal.webhooks where item_id = $1",
  );
  statements.set("events", "select convert_from(payload, 'UTF8') as text from events.events where item_id = $1");
  const found = new Map<string, string>();
  for (const [name, statement] of statements) {
    const { rows } = await database.query<{ text: string }>(`${statement} order by 1`, [itemId]);
    if (rows.length > 0) found.set(name, rows.map(({ text }) => text).join("\n"));
  }
  return found;
}

/** A delivery of each event and webhook of the item, with a body of its own that says `body`. */
export async function delivered(
  { database, integration }: World<"integration">,
  itemId: string,
  body: string,
): Promise<void> {
  await database.query(
    "insert into relay.destinations (id, url) values ('dst_1', 'https://x.example') on conflict do nothing",
  );
  await database.query(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, integration_id, item_id, route_id, route_version, form,
      due_at, body)
     select gen_random_uuid(), 'dst_1', e.id, e.type, $1, $2, 'rte_1', 1, 'transform', now(), convert_to($3, 'UTF8') from (
       select id, type from events.events where item_id = $2
       union all select id, 'webhook.received' from journal.webhooks where item_id = $2) e`,
    [integration.id, itemId, body],
  );
  await database.query(
    `insert into relay.attempts (delivery_id, number, started_at, url, response_head)
     select id, 1, now(), 'https://x.example', body from relay.deliveries where item_id = $1`,
    [itemId],
  );
}
export interface DeliveriesOfType {
  type: string;
  made: boolean;
  answered: boolean;
}
export const deliveries = async ({ database }: Pick<World, "database">, itemId: string): Promise<DeliveriesOfType[]> =>
  (
    await database.query<DeliveriesOfType>(
      `select event_type as type, bool_or(body is not null) as made, bool_or(response_head is not null) as answered
       from relay.deliveries left join relay.attempts on delivery_id = id where item_id = $1 group by 1 order by 1`,
      [itemId],
    )
  ).rows;
/** The types of events, a line each, in which an account has rows. */
export const typesIn = (lines: string, account: string): string[] => {
  const events = lines.split("\n").map((text) => ({ text, type: (JSON.parse(text) as { type: string }).type }));
  return [...new Set(events.filter(({ text }) => text.includes(account)).map(({ type }) => type))];
};

/** Plaid's webhook that an account was withdrawn, and the run that it causes. */
export async function withdrawn(
  { world, reader }: Given,
  { item_id }: Item,
  account_id: string,
  code = "USER_ACCOUNT_REVOKED",
): Promise<void> {
  const body = Buffer.from(JSON.stringify({ webhook_type: "ITEM", webhook_code: code, item_id, account_id }));
  const given = { integrationId: world.integration.id, itemId: item_id, webhookType: "ITEM", webhookCode: code, body };
  await append(world.database, [webhook(given)]);
  await markAll(world.database);
  await reader.work();
}

/** Removes an item at Plaid, as another system of yours may. */
export async function removedAtPlaid({ simulator }: World<"simulator">, { access_token }: Item): Promise<void> {
  const { url, clientId: client_id, secret } = simulator;
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ client_id, secret, access_token });
  await fetch(`${url}/item/remove`, { method: "POST", headers, body });
}

/** Of each note of what an item's user has withdrawn, whether it waits. */
export async function postponed({ database }: Pick<World, "database">, itemId: string): Promise<boolean[]> {
  const statement = "select look_at > now() as later from tartan.revocations where item_id = $1";
  return (await database.query<{ later: boolean }>(statement, [itemId])).rows.map(({ later }) => later);
}
