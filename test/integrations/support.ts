/** What the tests of integrations/ start from: a database, a vault, and an integration in it. */
import { randomBytes } from "node:crypto";
import { createIntegration, type NewIntegration } from "../../src/integrations/integrations.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

export const SECRETS = {
  client: "plaid-secret-5f4dcc3b5aa765d61d8327de",
  webhook: "webhook-secret-482c811da5d5b4bc6d49",
  token: "access-sandbox-d8578edf-8458-4c06-8f1c",
};

/** What was eventsOf of an item, in the order of the outbox: type and data. */
export async function eventsOf({ database }: TestDatabase, itemId: string): Promise<[string, unknown][]> {
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

export interface Scene extends TestDatabase {
  vault: Vault;
  masterKey: string;
  /** makes an integration with SECRETS and gives its id */
  integrate(more?: Partial<NewIntegration>): Promise<string>;
}

export async function scene(): Promise<Scene> {
  const db = await testDatabase();
  const masterKey = randomBytes(32).toString("base64");
  const vault = openVault([masterKey]);
  const integrate = async (more: Partial<NewIntegration> = {}) => {
    const { id } = await createIntegration(db.database, vault, {
      client_id: "client-1",
      secret: SECRETS.client,
      environment: "sandbox",
      webhook_secret: SECRETS.webhook,
      ...more,
    });
    return id;
  };
  return { ...db, vault, masterKey, integrate, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}
