/** What the tests of reconciliation share: the scene of sync, and looks at its items. */
import { systemClock } from "../../src/clock.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { claimChecks } from "../../src/integrations/checks.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { createLimiter } from "../../src/sync/limiter.ts";
import { checkItem, type CheckResult, type CheckDeps } from "../../src/sync/check.ts";
import { startReconciliation, type ReconcileOptions } from "../../src/sync/reconcile.ts";
import { until, type Item, type Scene } from "./support.ts";

const clientFor: ReconcileOptions["clientFor"] = ({ plaidUrl, clientId, secret }) =>
  createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock });

/** An item that was synced, and whose webhooks go where nobody hears them. */
export async function unheardItem(scene: Scene, transactions = 20, products = ["transactions"]): Promise<Item> {
  const [item] = scene.makeItems(1, transactions, { products, webhook: "http://127.0.0.1:9/nobody" });
  if (!item) throw new Error("the simulator made no item");
  scene.simulator.control.addFault({ kind: "drop_webhooks" });
  await scene.link(item);
  // Plaid's instants are of whole seconds: what follows must not seem to have been sent before.
  await scene.database.query("update tartan.items set linked_at = linked_at - interval '1 minute'");
  await using worker = await scene.work();
  await worker.idle();
  return item;
}

/** Looks at each linked item once in two seconds, and takes no webhook for being on its way. */
export async function reconcile(scene: Scene, options: Partial<ReconcileOptions> = {}): Promise<AsyncDisposable> {
  const { database, vault } = scene;
  const directory = await openDirectory({ database, vault, logger: silentLogger, clock: systemClock });
  const looking = startReconciliation({
    database,
    directory,
    vault,
    clientFor,
    clock: systemClock,
    logger: silentLogger,
    windowSeconds: 2,
    limitFactor: 10_000,
    graceMs: 0,
    pollMs: 20,
    ...options,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await looking[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Makes the check of every item due now, without waiting for the window. */
export async function makeChecksDue({ database }: Scene): Promise<void> {
  await database.query("update tartan.items set check_at = now(), checked_at = null");
}

interface CheckRow {
  check_at: Date | null;
  checked_at: Date | null;
}

export async function checkOf({ database }: Scene, itemId: string): Promise<CheckRow> {
  const { rows } = await database.query<CheckRow>("select check_at, checked_at from tartan.items where item_id = $1", [
    itemId,
  ]);
  return rows[0] ?? { check_at: null, checked_at: null };
}

/** Makes one check of the item and stops: resolves when Plaid was asked or the check was postponed. */
export async function checkOnce(scene: Scene, itemId: string, options: Partial<ReconcileOptions> = {}): Promise<void> {
  await makeChecksDue(scene);
  const { check_at: before } = await checkOf(scene, itemId);
  // A lease ends in five minutes, and the next check is planned for the end of the window: an hour.
  const ended = async () => {
    const { check_at, checked_at } = await checkOf(scene, itemId);
    return checked_at !== null || (check_at !== null && before !== null && +check_at > +before + 1_000_000);
  };
  await using _checking = await reconcile(scene, { windowSeconds: 3600, ...options });
  await until(ended, `a check of ${itemId}`);
}

/** The gaps that were recorded, oldest first. */
export async function gapsOf({ database }: Scene): Promise<{ gap: Record<string, unknown>; info: unknown }[]> {
  const { rows } = await database.query<{ body: Buffer; update_info: unknown }>(
    "select body, update_info from journal.webhooks where source = 'RECONCILER' order by id",
  );
  return rows.map(({ body, update_info }) => ({
    gap: (JSON.parse(body.toString()) as { gap: Record<string, unknown> }).gap,
    info: update_info,
  }));
}

/** Looks at every item, one after the other, with limits multiplied by these; resolves with what came of each. */
export async function checkAll(scene: Scene, limits: { share: number; limit: number }): Promise<string[]> {
  const { database } = scene;
  const results = await checkDirectly(scene, {
    limiter: createLimiter(database, systemClock, limits.limit),
    share: createLimiter(database, systemClock, limits.share),
  });
  return results.map(({ outcome }) => outcome);
}

/** Checks every item, one after the other, and rejects if a check does. */
export async function checkDirectly(scene: Scene, more: Partial<CheckDeps> = {}): Promise<CheckResult[]> {
  const { database, vault } = scene;
  await makeChecksDue(scene);
  await using directory = await openDirectory({ database, vault, logger: silentLogger, clock: systemClock });
  const deps = {
    database,
    directory,
    vault,
    clientFor,
    clock: systemClock,
    limiter: createLimiter(database, systemClock, 10_000),
    share: createLimiter(database, systemClock, 10_000),
    windowSeconds: 3600,
    graceMs: 0,
    ...more,
  };
  const results: CheckResult[] = [];
  for (const check of await claimChecks(database, 0.0001, 100)) {
    results.push(await checkItem(deps, check, new AbortController().signal));
  }
  return results;
}

/** Clients that call `asked` when Plaid has answered a check, before the check gets the answer. */
export const answering =
  (asked: () => Promise<void>): CheckDeps["clientFor"] =>
  (integration) => {
    const client = clientFor(integration);
    return {
      ...client,
      postJson: async <T>(...request: Parameters<typeof client.postJson>) => {
        const answer = await client.postJson<T>(...request);
        await asked();
        return answer;
      },
    };
  };
