/** What the tests of integrations/ start from: an integration with secrets that a test looks for, and the events of its items. */
import { createIntegration, type NewIntegration } from "../../src/integrations/integrations.ts";
import type { World } from "../support/world/index.ts";

export const SECRETS = {
  client: "plaid-secret-5f4dcc3b5aa765d61d8327de",
  webhook: "webhook-secret-482c811da5d5b4bc6d49",
  token: "access-sandbox-d8578edf-8458-4c06-8f1c",
};

/** What was recorded of an item, in the order of the outbox: type and data. */
export async function eventsOf({ database }: World, itemId: string): Promise<[string, unknown][]> {
  const { rows } = await database.query<{ payload: Buffer }>(
    `select e.payload from events.outbox o, unnest(o.events) with ordinality named (id, n) join events.events e using (id)
     where e.item_id = $1 order by o.id, n`,
    [itemId],
  );
  return rows.map(({ payload }) => {
    const { type, data } = JSON.parse(payload.toString()) as { type: string; data: unknown };
    return [type, data];
  });
}

/** Makes an integration with SECRETS and returns its id. */
export async function integrate({ database, vault }: World, more: Partial<NewIntegration> = {}): Promise<string> {
  const { id } = await createIntegration(database, vault, {
    client_id: "client-1",
    secret: SECRETS.client,
    environment: "sandbox",
    webhook_secret: SECRETS.webhook,
    ...more,
  });
  return id;
}

/** How sync sees an item; undefined where it does not know it. */
export async function subjectOf({ database }: World, itemId: string) {
  const { rows } = await database.query<{ due_at: Date | null; status: string; lease_token: string | null }>(
    "select due_at, status, lease_token from sync.subjects where kind = 'item' and id = $1",
    [itemId],
  );
  return rows[0];
}
