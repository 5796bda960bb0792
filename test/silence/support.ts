/** What the tests of this folder share: readings of Plaid's list of sent webhooks, when a test says so. */
import { systemClock } from "../../src/clock.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { SentLists, type SentListsOptions } from "../../src/silence/sent-lists.ts";
import type { World } from "../support/world/index.ts";

/** A reader of lists; a webhook that was delivered counts as missing at once. */
export async function openLists(
  { database, vault, use }: World,
  options: Partial<SentListsOptions> = {},
): Promise<SentLists> {
  const directory = use(await openDirectory({ database, vault, logger: silentLogger, clock: systemClock }));
  return new SentLists({
    database,
    directory,
    clientFor: ({ plaidUrl, clientId, secret }) =>
      createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock }),
    clock: systemClock,
    logger: silentLogger,
    everySeconds: 600,
    limitFactor: 10_000,
    journalRetentionDays: 0,
    // The simulator's clock may be ahead.
    graceMs: -60_000,
    ...options,
  });
}

/** Reads every list to its end. */
export async function readLists({ database }: World, lists: SentLists): Promise<void> {
  const signal = new AbortController().signal;
  await lists.work(signal);
  await database.query("update silence.sent_lists set next_at = now()");
  while (await lists.work(signal))
    await database.query("update silence.sent_lists set next_at = now() where next_at < now() + interval '1 minute'");
}
