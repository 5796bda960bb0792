/**
 * What the tests of sync/ start from: a database, a simulated Plaid, an integration between them, and workers as many as a
 * test wants. Webhooks are appended to the journal as the receiver appends them, so a test decides which come and when.
 */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { introduceItem } from "../support/link.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import { append } from "../../src/journal/append.ts";
import { newUuid } from "../../src/model/ids.ts";
import { createLogger, silentLogger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { startSimulator, type Simulator, type SimulatorOptions } from "../../src/simulator/index.ts";
import { startSync, type Sync, type SyncOptions } from "../../src/sync/sync.ts";
import type { UpdateInfo } from "../../src/sync/types.ts";
import { testDatabase } from "../support/database.ts";
import { markAll } from "../support/mark.ts";

export interface Item {
  item_id: string;
  access_token: string;
}

export interface SubjectRow {
  due_at: Date | null;
  not_before: Date | null;
  generation: number;
  oldest_unserved: string | null;
  requested: string[];
  claimed: string[];
  lease_token: string | null;
  attempts: number;
  status: string;
  last_error: Record<string, unknown> | null;
  verified_at: Date | null;
}

export interface Scene extends AsyncDisposable {
  database: Database;
  databaseUrl: string;
  vault: Vault;
  simulator: Simulator;
  integrationId: string;
  /** makes another integration with the same simulator */
  integrate(): Promise<string>;
  /** items at the simulator; Tartan does not know them */
  makeItems(count: number, transactions?: number, more?: Parameters<Simulator["control"]["createItems"]>[0]): Item[];
  /** links an item as the user's backend does */
  link(item: Item, integrationId?: string): Promise<void>;
  /** a worker, stopped with the scene */
  work(options?: Partial<SyncOptions>): Promise<Sync>;
  /** as if Plaid had sent a webhook, and it was marked; resolves with its UUID */
  notify(itemId: string, code?: string, type?: string, integrationId?: string): Promise<string>;
  /** makes an item, links it and waits for its first sync */
  synced(transactions?: number): Promise<Item>;
  subject(id: string, kind?: string): Promise<SubjectRow>;
  /** update_info of a webhook, null while it waits */
  info(uuid: string): Promise<UpdateInfo | null>;
  /** makes what waits for later due now */
  hurry(): Promise<void>;
  /** how often an endpoint was asked so far */
  asked(endpoint: string): number;
}

/** Waits are short, so that tests need no sleeps. */
const DELAYS = { retryMs: 20, retryMaxMs: 200, notReadyMs: 50, configurationMs: 600_000, checkMs: 86_400_000 };

export async function openScene(simulated: SimulatorOptions = {}): Promise<Scene> {
  const { database, url, ...held } = await testDatabase({ poolSize: 16 });
  const simulator = await startSimulator({ rateLimits: false, ...simulated });
  const vault = openVault([randomBytes(32).toString("base64")]);
  const directory = await openDirectory({ database, vault, logger: silentLogger, clock: systemClock });
  const workers: Sync[] = [];
  const integrate = async (): Promise<string> => {
    const { id } = await createIntegration(database, vault, {
      client_id: simulator.clientId,
      secret: simulator.secret,
      environment: "sandbox",
      plaid_url: simulator.url,
      country_codes: ["US", "CA", "GB"],
    });
    return id;
  };
  const integrationId = await integrate();

  const scene: Scene = {
    database,
    databaseUrl: url,
    vault,
    simulator,
    integrationId,
    integrate,
    makeItems: (count, transactions = 20, more = {}) =>
      simulator.control.createItems({ count, transactions, ...more }).items,
    link: async (item, integration_id = integrationId) => {
      await introduceItem({ database, vault }, { integration_id, ...item });
    },
    work: async (options = {}) => {
      const worker = await startSync({
        database,
        directory,
        vault,
        clientFor: ({ plaidUrl, clientId, secret }) =>
          createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock }),
        clock: systemClock,
        logger: process.env["TEST_LOG"] ? createLogger("debug") : silentLogger,
        concurrency: 4,
        leaseSeconds: 30,
        pollMs: 50,
        limitFactor: 10_000,
        delays: DELAYS,
        ...options,
      });
      workers.push(worker);
      return worker;
    },
    notify: async (itemId, code = "SYNC_UPDATES_AVAILABLE", type = "TRANSACTIONS", integration = integrationId) => {
      const [appended] = await append(database, [webhook(integration, itemId, type, code)]);
      await markAll(database);
      return appended?.id ?? "";
    },
    synced: async (transactions = 20) => {
      const [item] = scene.makeItems(1, transactions);
      if (!item) throw new Error("the simulator made no item");
      await scene.link(item);
      const worker = await scene.work();
      await worker.idle();
      await worker[Symbol.asyncDispose]();
      return item;
    },
    subject: async (id, kind = "item") => {
      const { rows } = await database.query<SubjectRow>("select * from sync.subjects where kind = $1 and id = $2", [
        kind,
        id,
      ]);
      if (!rows[0]) throw new Error(`there is no subject ${kind} ${id}`);
      return rows[0];
    },
    info: async (uuid) => {
      const { rows } = await database.query<{ update_info: UpdateInfo | null }>(
        "select update_info from journal.webhooks where id = $1",
        [uuid],
      );
      return rows[0]?.update_info ?? null;
    },
    hurry: async () => {
      await database.query(
        "update sync.subjects set due_at = now(), not_before = null where due_at is not null and lease_token is null",
      );
    },
    asked: (endpoint) => simulator.control.requests().requests[endpoint] ?? 0,
    [Symbol.asyncDispose]: async () => {
      for (const worker of workers) await worker[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
      await simulator[Symbol.asyncDispose]();
      await held[Symbol.asyncDispose]();
    },
  };
  return scene;
}

/** A webhook of Plaid's, but for its proof. */
export function webhook(integrationId: string, itemId: string, type: string, code: string, at = new Date()) {
  return {
    id: newUuid(at),
    integrationId,
    source: "PLAID" as const,
    subject: { kind: "item", id: itemId },
    itemId,
    webhookType: type,
    webhookCode: code,
    environment: "sandbox",
    receivedAt: at,
    body: Buffer.from(JSON.stringify({ webhook_type: type, webhook_code: code, item_id: itemId })),
    proof: null,
  };
}

/** Waits until `met` holds. */
export async function until(met: () => boolean | Promise<boolean>, what = "what was waited for"): Promise<void> {
  const last = Date.now() + 15_000;
  while (!(await met())) {
    if (Date.now() > last) throw new Error(`${what} did not happen`);
    await systemClock.sleep(5);
  }
}

/** Sees each request to Plaid, and lets it pass when it likes. */
type Gate = (path: string, body: { access_token?: string }, pass: () => Promise<void>) => Promise<void>;

/** Clients whose requests go through `gate`. */
export const gated =
  (gate: Gate): SyncOptions["clientFor"] =>
  ({ plaidUrl, clientId, secret }) => {
    const client = createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock });
    return {
      ...client,
      post: async (path, body, signal) => {
        let answer: Awaited<ReturnType<typeof client.post>> | undefined;
        await gate(path, body, async () => {
          answer = await client.post(path, body, signal);
        });
        if (!answer) throw new Error("the gate let nothing through");
        return answer;
      },
    };
  };
