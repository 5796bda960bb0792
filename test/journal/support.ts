/** What the tests of the journal look at, and items that are linked without an Intake. */
import type { Queryable } from "../../src/database/types.ts";
import { INTEGRATION } from "../support/webhook.ts";

export interface SubjectRow {
  id: string;
  due_at: Date | null;
  generation: number;
  oldest_unserved: string | null;
  requested: string[];
}

export async function subject(q: Queryable, id = "item-1"): Promise<SubjectRow | undefined> {
  const { rows } = await q.query<SubjectRow>(
    "select id, due_at, generation, oldest_unserved, requested from sync.subjects where integration_id = $1 and id = $2",
    [INTEGRATION, id],
  );
  return rows[0];
}

/** The rows of the outbox that sync has not marked, each as the ids of its webhooks. */
export async function unmarked(q: Queryable): Promise<string[][]> {
  const { rows } = await q.query<{ webhooks: string[] }>("select webhooks from events.sync_outbox order by id");
  return rows.map(({ webhooks }) => webhooks);
}

export async function journaled(q: Queryable): Promise<number> {
  const { rows } = await q.query<{ n: number }>("select count(*) as n from journal.webhooks");
  return rows[0]?.n ?? 0;
}

/** An item with a user and a token; the integration is made where it is missing. */
export async function linkItem(q: Queryable, itemId: string, userId: string): Promise<void> {
  await q.query(
    `insert into tartan.integrations (id, service, name, environment, plaid_url, client_id)
     values ($1, 'plaid_item_v1', 'test', 'sandbox', 'http://127.0.0.1:1', 'client') on conflict do nothing`,
    [INTEGRATION],
  );
  await q.query(
    "insert into tartan.items (integration_id, item_id, user_id, access_token_sealed) values ($1, $2, $3, '\\x00')",
    [INTEGRATION, itemId, userId],
  );
}
