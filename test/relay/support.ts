/** What the tests of the rules start from: a database, a vault, and a destination in it. */
import { randomBytes } from "node:crypto";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import {
  createDestination,
  type DestinationDeps,
  type DestinationState,
  type NewDestination,
} from "../../src/relay/destinations.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

export const PLACE = "https://example.com/webhooks";

export interface RulesScene extends TestDatabase, DestinationDeps {
  masterKey: string;
  vault: Vault;
  destination(wish?: Partial<NewDestination>): Promise<DestinationState & { signing_secret: string }>;
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
    destination: (wish = {}) => createDestination(deps, { url: PLACE, ...wish }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
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
