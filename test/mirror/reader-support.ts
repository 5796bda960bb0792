/** What the tests of readers share: readers that are gone after the test, and two tenants with everything secret. */
import { Client } from "pg";
import { afterEach } from "vitest";
import { readerUrl } from "../../src/lifecycle/reader.ts";
import type { ReaderScope } from "../../src/mirror/reader.ts";
import type { Database } from "../../src/database/types.ts";
import { ensureAdminKey } from "../../src/integrations/api-keys.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { introduceItem } from "../support/link.ts";
import { maintain } from "../support/database.ts";
import type { World } from "../support/world/index.ts";

/** Roles belong to the server, so they outlive the test's database. */
export const roles = new Set<string>();
afterEach(async () => {
  for (const role of roles) await maintain(`drop role if exists ${role}`);
  roles.clear();
});

export async function reader({ database, databaseUrl }: World, scope: ReaderScope = {}): Promise<string> {
  const url = await readerUrl(database, databaseUrl, scope);
  roles.add(new URL(url).username);
  return url;
}

export async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(url);
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export const rowsOf = async (url: string, text: string, values: unknown[] = []) =>
  await connected(url, async (client) => (await client.query<Record<string, unknown>>(text, values)).rows);

export interface Tenants {
  mine: string;
  other: string;
  /** what no reader may ever see, as text and as stored */
  secrets: string[];
  /** what only the other tenant may see */
  others: string[];
}

/** Two tenants with an item, an account and a transaction each, and everything secret that Tartan stores. */
export async function twoTenants({ database, vault }: World): Promise<Tenants> {
  const secrets: string[] = [];
  const integrate = async (name: string) => {
    const [secret, webhook_secret, token] = [
      `plaid-secret-${name}`,
      `webhook-secret-${name}`,
      `access-sandbox-${name}`,
    ];
    const { id } = await createIntegration(database, vault, {
      client_id: `plaidclient-${name}`,
      secret,
      webhook_secret,
      environment: "sandbox",
    });
    await introduceItem({ database, vault }, { integration_id: id, item_id: `item-${name}`, access_token: token });
    await mirror(database, id, name);
    secrets.push(secret, webhook_secret, token, `plaidclient-${name}`);
    return id;
  };
  const [mine, other] = [await integrate("mine"), await integrate("other")];
  // So that what Postgres keeps of the values for its planner is there to be found.
  await database.query("analyze");
  const { key = "" } = await ensureAdminKey(database);
  const { rows } = await database.query<{ stored: Buffer }>(
    `select client_secret_sealed as stored from tartan.integrations union all
     select webhook_secret_sealed from tartan.integrations union all
     select access_token_sealed from tartan.items union all select key_sha256 from tartan.api_keys`,
  );
  secrets.push(key, ...rows.map(({ stored }) => stored.toString("hex")));
  secrets.push(...secrets.map((text) => Buffer.from(text).toString("hex")));
  return { mine, other, secrets, others: [other, "other"] };
}

async function mirror(database: Database, id: string, name: string): Promise<void> {
  await database.query(
    "insert into sync.cursors (integration_id, kind, id, resource, rows) values ($1, 'item', $2, $3, 1)",
    [id, `item-${name}`, `raw-${name}`],
  );
  await database.query(
    `insert into sync.notices (integration_id, item_id, kind, about, since, announced_at)
     values ($1, $2, 'account_revoked', $3, now(), now())`,
    [id, `item-${name}`, `raw-${name}`],
  );
  const { rows } = await database.query<{ table: string; columns: string[] }>(
    `select c.relname as table, array_agg(a.attname::text) as columns from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnotnull and not a.atthasdef and a.attnum > 0
     where c.relnamespace = 'plaid'::regnamespace and c.relkind = 'r' group by 1`,
  );
  for (const { table, columns } of rows) {
    const values = columns.map((column) => {
      if (column === "integration_id") return id;
      return column === "raw" ? JSON.stringify({ name: `raw-${name}` }) : `${column.replace("_id", "")}-${name}`;
    });
    const places = columns.map((_, index) => `$${index + 1}`);
    await database.query(`insert into plaid.${table} (${columns.join()}) values (${places.join()})`, values);
  }
}

/** Every row of every table, view and catalogue that the role may read, as text. */
export async function everything(url: string): Promise<Map<string, string>> {
  return await connected(url, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select format('%I.%I', nspname, relname) as name from pg_class c join pg_namespace n on n.oid = relnamespace
       where relkind in ('r', 'v', 'm', 'p', 'S')`,
    );
    const seen = new Map<string, string>();
    for (const { name } of rows) {
      const text = `select coalesce(string_agg(t::text, E'\\n'), '') as all from ${name} t`;
      const read = await client.query<{ all: string }>(text).catch(() => null);
      if (read) seen.set(name, read.rows[0]?.all ?? "");
    }
    return seen;
  });
}

/** Where one of the texts occurs; what the role's own statements show of itself does not count. */
export function findings(seen: Map<string, string>, texts: readonly string[]): string[] {
  return [...seen].flatMap(([name, all]) =>
    texts.filter((text) => all.includes(text)).map((text) => `${name}: ${text}`),
  );
}
