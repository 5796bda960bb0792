/**
 * Sync in this process, with as many workers as a test starts. Webhooks are appended to the journal as the Intake appends them, so
 * a test decides which come and when.
 */
import { systemClock } from "../../../src/clock.ts";
import { openDirectory } from "../../../src/integrations/directory.ts";
import { append } from "../../../src/journal/append.ts";
import { noteArrivals } from "../../../src/linking/sessions.ts";
import { createLogger, silentLogger } from "../../../src/logger.ts";
import { createPlaidClient } from "../../../src/plaid/client.ts";
import { startSync, type Sync, type SyncOptions } from "../../../src/sync/sync.ts";
import type { UpdateInfo } from "../../../src/sync/types.ts";
import { markAll } from "../mark.ts";
import { webhookBody } from "../plaid-signer.ts";
import { webhook } from "../webhook.ts";
import type { Base } from "./base.ts";
import type { IntegrationPart, Item } from "./integration.ts";

interface SubjectRow {
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

export interface SyncPart extends Looks {
  /** a worker, stopped with the world at the latest */
  start(options?: Partial<SyncOptions>): Promise<Sync>;
  /** as if Plaid had sent a webhook, and it was marked; resolves with its UUID */
  notify(itemId: string, code?: string, type?: string, integrationId?: string): Promise<string>;
  /** the same of a webhook about another subject; its body also has `fields` */
  notifyOf(subject: { kind: string; id: string }, type: string, code: string, fields?: object): Promise<string>;
  /** makes an item, links it and waits for its first sync */
  synced(transactions?: number): Promise<Item>;
}

interface Looks {
  subject(id: string, kind?: string): Promise<SubjectRow>;
  /** update_info of a webhook, null while it waits */
  info(uuid: string): Promise<UpdateInfo | null>;
  /** makes what waits for later due now */
  hurry(): Promise<void>;
}

/** Waits are short, so that tests need no sleeps. */
const DELAYS = { retryMs: 20, retryMaxMs: 200, notReadyMs: 50, configurationMs: 600_000, checkMs: 86_400_000 };

export const sync = {
  needs: ["integration"],
  /** @param options of every worker */
  start: async (world: Base & { integration: IntegrationPart }, options: Partial<SyncOptions>): Promise<SyncPart> => {
    const { database, integration } = world;
    const start = await starterOf(world, options);
    const arrived = async (given: Parameters<typeof webhook>[0]): Promise<string> => {
      const [appended] = await append(database, [webhook(given)]);
      await markAll(database);
      return appended?.id ?? "";
    };
    return {
      start,
      notify: (itemId, webhookCode, webhookType, integrationId = integration.id) =>
        arrived({
          integrationId,
          itemId,
          proof: null,
          ...(webhookCode && { webhookCode }),
          ...(webhookType && { webhookType }),
        }),
      notifyOf: (subject, webhookType, webhookCode, fields = {}) => {
        const body = webhookBody({ webhook_type: webhookType, webhook_code: webhookCode, ...fields });
        return arrived({ integrationId: integration.id, itemId: null, webhookType, webhookCode, subject, body });
      },
      synced: async (transactions) => {
        const [item] = integration.makeItems(1, transactions);
        if (!item) throw new Error("the simulator made no item");
        await integration.link(item);
        await using worker = await start();
        await worker.idle();
        return item;
      },
      ...looksAt(world),
    };
  },
} as const;

async function starterOf(world: Base, options: Partial<SyncOptions>): Promise<SyncPart["start"]> {
  const { database, vault } = world;
  const logger = process.env["TEST_LOG"] ? createLogger("debug") : silentLogger;
  const directory = world.use(await openDirectory({ database, vault, logger: silentLogger, clock: systemClock }));
  return async (more = {}) =>
    world.use(
      await startSync({
        database,
        directory,
        vault,
        clientFor: ({ plaidUrl, clientId, secret }) =>
          createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock }),
        clock: systemClock,
        logger,
        concurrency: 4,
        leaseSeconds: 30,
        pollMs: 50,
        limitFactor: 10_000,
        delays: DELAYS,
        onArrived: noteArrivals,
        ...options,
        ...more,
      }),
    );
}

const looksAt = ({ database }: Base): Looks => ({
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
});
