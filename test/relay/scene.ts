/**
 * A scene for the engine: a database, receivers, destinations for them, and relays in this process, as many as a
 * test wants.
 */
import { randomBytes } from "node:crypto";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import { append } from "../../src/journal/append.ts";
import { recordEvents, type NewEvent } from "../../src/events/events.ts";
import { silentLogger } from "../../src/logger.ts";
import { createDestination, type UrlRules } from "../../src/relay/destinations/destinations.ts";
import { startRelay, type Relay, type RelayOptions } from "../../src/relay/relay.ts";
import { createRoute } from "../../src/relay/routing/routes.ts";
import { webhook, INTEGRATION } from "../journal/support.ts";
import { testDatabase } from "../support/database.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";

export { INTEGRATION };

export interface Scene extends AsyncDisposable {
  database: Database;
  databaseUrl: string;
  vault: Vault;
  masterKey: string;
  urls: UrlRules;
  receiver(): Promise<Receiver>;
  /** a destination for the receiver, with a route; `columns` are set as they are in relay.destinations */
  destination(
    receiver: { url: string },
    columns?: Record<string, unknown>,
    route?: Record<string, unknown>,
  ): Promise<{ id: string; secret: string }>;
  relay(options?: Partial<RelayOptions>): Promise<Relay>;
  /** journals webhooks of these items; their bodies tell `n`, their place */
  webhooks(...itemIds: string[]): Promise<string[]>;
  event(event: Partial<NewEvent>): Promise<string>;
  /** how many deliveries have each status */
  statuses(destinationId?: string): Promise<Record<string, number>>;
}

/** So many webhooks of one item. */
export const count = (times: number, itemId = "item-1"): string[] => Array.from({ length: times }, () => itemId);

/** The places `n` that the bodies tell, in the order in which they came. */
export const places = (received: readonly { body: Buffer }[]): number[] =>
  received.map(({ body }) => (JSON.parse(body.toString()) as { n: number }).n);

/** A route that passes webhooks on as they came. */
export const ORIGINAL = { form: "original" };

let serial = 0;

export async function openScene(): Promise<Scene> {
  const closer = new Closer();
  const { database, url: databaseUrl } = closer.use(await testDatabase({ poolSize: 12 }));
  const masterKey = randomBytes(32).toString("base64");
  const vault = openVault([masterKey]);
  const urls = { allowHttp: true, checkUrl: () => undefined };
  return {
    database,
    databaseUrl,
    vault,
    masterKey,
    urls,
    receiver: async () => closer.use(await startReceiver()),
    destination: async ({ url }, columns = {}, route = {}) => {
      const made = await createDestination({ database, vault, urls }, { url });
      const names = Object.keys(columns);
      if (names.length > 0) {
        const sets = names.map((name, index) => `${name} = $${index + 2}`).join(", ");
        await database.query(`update relay.destinations set ${sets} where id = $1`, [
          made.id,
          ...Object.values(columns),
        ]);
      }
      await createRoute(database, { destination_id: made.id, ...route });
      return { id: made.id, secret: made.signing_secret };
    },
    relay: async (options = {}) =>
      closer.use(
        await startRelay({
          database,
          vault,
          clock: systemClock,
          logger: silentLogger,
          concurrency: 256,
          leaseSeconds: 45,
          pollMs: 40,
          allowedAddresses: ["127.0.0.1"],
          // Receivers that hang are let go of soon when a test ends.
          stopSeconds: 1,
          ...options,
        }),
      ),
    webhooks: async (...itemIds) => {
      const made = itemIds.map((itemId) =>
        webhook({ itemId, body: Buffer.from(JSON.stringify({ item_id: itemId, n: (serial += 1) }, null, 2)) }),
      );
      await append(database, made);
      return made.map(({ id }) => id);
    },
    event: async (event) => {
      const [id = ""] = await database.transaction((tx) =>
        recordEvents(tx, [
          {
            type: "item.updated",
            integrationId: INTEGRATION,
            itemId: "item-1",
            userId: null,
            environment: "sandbox",
            data: {},
            ...event,
          },
        ]),
      );
      return id;
    },
    statuses: async (destinationId) => {
      const { rows } = await database.query<{ status: string; count: number }>(
        "select status, count(*)::int as count from relay.deliveries where $1::text is null or destination_id = $1 group by 1",
        [destinationId ?? null],
      );
      return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
    },
    [Symbol.asyncDispose]: () => closer[Symbol.asyncDispose](),
  };
}
