/** What the tests of reconciliation share: an item that nobody heard of, and checks of it. */
import { systemClock } from "../../src/clock.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { claimChecks } from "../../src/integrations/checks.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { createLimiter } from "../../src/sync/limiter.ts";
import { checkItem, type CheckResult, type CheckDeps } from "../../src/sync/check.ts";
import { startReconciliation, type ReconcileOptions } from "../../src/sync/reconcile.ts";
import { until } from "../support/until.ts";
import type { Item, World } from "../support/world/index.ts";

const clientFor: ReconcileOptions["clientFor"] = ({ plaidUrl, clientId, secret }) =>
  createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock });

/** An item that was synced, and whose webhooks go where nobody hears them. */
export async function unheardItem(world: World<"sync">, transactions = 20, products = ["transactions"]): Promise<Item> {
  const [item] = world.integration.makeItems(1, transactions, { products, webhook: "http://127.0.0.1:9/nobody" });
  if (!item) throw new Error("the simulator made no item");
  world.simulator.control.addFault({ kind: "drop_webhooks" });
  await world.integration.link(item);
  // Plaid's instants are of whole seconds: what follows must not seem to have been sent before.
  await world.database.query("update tartan.items set linked_at = linked_at - interval '1 minute'");
  await using worker = await world.sync.start();
  await worker.idle();
  return item;
}

/** Looks at each linked item once in two seconds, and takes no webhook for being on its way. */
export async function reconcile(
  world: World<"sync">,
  options: Partial<ReconcileOptions> = {},
): Promise<AsyncDisposable> {
  const { database, vault } = world;
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
export async function makeChecksDue({ database }: World): Promise<void> {
  await database.query("update tartan.items set check_at = now(), checked_at = null");
}

interface CheckRow {
  check_at: Date | null;
  checked_at: Date | null;
}

export async function checkOf({ database }: World, itemId: string): Promise<CheckRow> {
  const { rows } = await database.query<CheckRow>("select check_at, checked_at from tartan.items where item_id = $1", [
    itemId,
  ]);
  return rows[0] ?? { check_at: null, checked_at: null };
}

/** Makes one check of the item and stops: resolves when Plaid was asked or the check was postponed. */
export async function checkOnce(
  world: World<"sync">,
  itemId: string,
  options: Partial<ReconcileOptions> = {},
): Promise<void> {
  await makeChecksDue(world);
  const { check_at: before } = await checkOf(world, itemId);
  // A lease ends in five minutes, and the next check is planned for the end of the window: an hour.
  const ended = async () => {
    const { check_at, checked_at } = await checkOf(world, itemId);
    return checked_at !== null || (check_at !== null && before !== null && +check_at > +before + 1_000_000);
  };
  await using _checking = await reconcile(world, { windowSeconds: 3600, ...options });
  await until(`a check of ${itemId}`, ended);
}

/** The gaps that were recorded, oldest first. */
export async function gapsOf({ database }: World): Promise<{ gap: Record<string, unknown>; info: unknown }[]> {
  const { rows } = await database.query<{ body: Buffer; update_info: unknown }>(
    "select body, update_info from journal.webhooks where source = 'RECONCILER' order by id",
  );
  return rows.map(({ body, update_info }) => ({
    gap: (JSON.parse(body.toString()) as { gap: Record<string, unknown> }).gap,
    info: update_info,
  }));
}

/** Looks at every item, one after the other, with limits multiplied by these; resolves with what came of each. */
export async function checkAll(world: World<"sync">, limits: { share: number; limit: number }): Promise<string[]> {
  const { database } = world;
  const results = await checkDirectly(world, {
    limiter: createLimiter(database, systemClock, limits.limit),
    share: createLimiter(database, systemClock, limits.share),
  });
  return results.map(({ outcome }) => outcome);
}

/** Checks every item, one after the other, and rejects if a check does. */
export async function checkDirectly(world: World<"sync">, more: Partial<CheckDeps> = {}): Promise<CheckResult[]> {
  const { database, vault } = world;
  await makeChecksDue(world);
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
