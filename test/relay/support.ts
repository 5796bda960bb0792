/** What the tests of the rules start from: a database, a vault, and a destination in it. */
import { randomBytes } from "node:crypto";
import type { Queryable } from "../../src/database/types.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import {
  createDestination,
  type DestinationDeps,
  type DestinationState,
  type NewDestination,
} from "../../src/relay/destinations/destinations.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

export const PLACE = "https://example.com/webhooks";

export interface RulesScene extends TestDatabase, DestinationDeps {
  masterKey: string;
  vault: Vault;
  destination(given?: Partial<NewDestination>): Promise<DestinationState & { signing_secret: string }>;
}

export async function rulesScene(): Promise<RulesScene> {
  const db = await testDatabase();
  const masterKey = randomBytes(32).toString("base64");
  const deps = {
    database: db.database,
    vault: openVault([masterKey]),
    urls: { allowHttp: false, checkUrl: () => undefined },
  };
  return {
    ...db,
    ...deps,
    masterKey,
    destination: (given = {}) => createDestination(deps, { url: PLACE, ...given }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

/** So many deliveries; `more` is their status, due_at and ordering key. */
export async function plantDeliveries(
  it: { database: Queryable },
  id: string,
  count: number,
  more = "'scheduled', now(), null",
): Promise<void> {
  await it.database.query(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at, ordering_key)
     select gen_random_uuid(), $1, gen_random_uuid(), 'item.error', 'rte_1', 1, 'event', ${more} from generate_series(1, $2)`,
    [id, count],
  );
}

/** What is refused: code, fields and message of the error with which `work` fails. */
export async function refusalOf(
  work: Promise<unknown>,
): Promise<{ code: string; fields: Record<string, string>; message: string }> {
  return await work.then(
    () => ({ code: "none", fields: {}, message: "" }),
    (error: { code: string; fields?: Record<string, string>; message: string }) => ({
      code: error.code,
      fields: error.fields ?? {},
      message: error.message,
    }),
  );
}
