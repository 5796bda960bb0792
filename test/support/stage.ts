/**
 * A stage on which the whole of Tartan plays: a database of its own, a simulated Plaid, an integration between them, and
 * real processes, as many as a test wants. Items are linked as a user's backend links them.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Closer } from "../../src/cli/wiring/closer.ts";
import type { Database } from "../../src/database/types.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { BOOKS, type BookName } from "../../src/simulator/products/index.ts";
import { testDatabase } from "./database.ts";
import { startTartan, type TartanProcess } from "./process.ts";

export const ADMIN_KEY = "admin-key-of-the-stage";

export interface Stage extends AsyncDisposable {
  database: Database;
  databaseUrl: string;
  vault: Vault;
  simulator: Simulator;
  integration: { id: string; webhook_secret: string };
  /** what a Tartan process or command needs to work on this stage */
  env: Record<string, string>;
  /** starts a Tartan process; it is killed with the stage at the latest */
  tartan(
    args?: string[],
    env?: Record<string, string>,
    ready?: (line: string) => string | null,
  ): Promise<TartanProcess>;
  /** makes items at the simulator whose webhooks go to `receiver`, without telling Tartan of them */
  makeItems(receiver: { url: string }, count: number, transactions?: number, products?: string[]): Promise<StageItem[]>;
  /** posts ITEM/CREATED as the user's backend does */
  link(receiver: { url: string }, item: StageItem, userId?: string): Promise<Response>;
}

export interface StageItem {
  item_id: string;
  access_token: string;
}

/** The products that the simulator has the data of, besides transactions: by the name of the book, which is the resource's. */
export const BOOK_NAMES = Object.keys(BOOKS) as BookName[];
export const ALL_PRODUCTS = ["transactions", ...BOOK_NAMES.map((name) => BOOKS[name].product)];

interface StageOptions {
  seed?: string;
  /** a database of the test's own, instead of a fresh one */
  database?: { database: Database; url: string };
}

export async function openStage({ seed = "stage", database: given }: StageOptions = {}): Promise<Stage> {
  const closer = new Closer();
  const { database, url } = given ?? closer.use(await testDatabase());
  const simulator = closer.use(await startSimulator({ port: 0, rateLimits: false, seed }));
  const masterKey = randomBytes(32).toString("base64");
  const vault = openVault([masterKey]);
  const integration = await createIntegration(database, vault, {
    client_id: simulator.clientId,
    secret: simulator.secret,
    environment: "sandbox",
    plaid_url: simulator.url,
  });
  const env = {
    TARTAN_DATABASE_URL: url,
    TARTAN_MASTER_KEY: masterKey,
    TARTAN_ADMIN_KEY: ADMIN_KEY,
    TARTAN_PLAID_LIMIT_FACTOR: "10000",
    TARTAN_SYNC_POLL_MS: "200",
    // A test that does not ask for reconciliation is not healed by it.
    TARTAN_RECONCILE_H: "0",
  };
  const intakeOf = (receiver: { url: string }) => `${receiver.url}/v1/integrations/${integration.id}`;
  return {
    database,
    databaseUrl: url,
    vault,
    simulator,
    integration,
    env,
    tartan: async (args = ["up"], more = {}, ready) => closer.use(await startTartan({ ...env, ...more }, args, ready)),
    makeItems: async (receiver, count, transactions = 30, products = ["transactions"]) =>
      (await simulator.control.createItems({ count, transactions, products, webhook: intakeOf(receiver) })).items,
    link: (receiver, { item_id, access_token }, user_id) =>
      fetch(intakeOf(receiver), {
        method: "POST",
        headers: { "content-type": "application/json", "whdb-webhook-secret": integration.webhook_secret },
        body: JSON.stringify({ webhook_type: "ITEM", webhook_code: "CREATED", item_id, access_token, user_id }),
      }),
    [Symbol.asyncDispose]: () => closer[Symbol.asyncDispose](),
  };
}

/** Waits until `met` holds, looking every 50 ms; throws what was waited for after `seconds`. */
export async function until(what: string, met: () => Promise<boolean>, seconds = 60): Promise<void> {
  const last = Date.now() + seconds * 1000;
  while (!(await met())) {
    if (Date.now() > last) throw new Error(`${what} did not happen within ${seconds} s`);
    await delay(50);
  }
}
