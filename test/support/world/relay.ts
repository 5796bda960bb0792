/** The relay in this process, with as many workers as a test starts, receivers of its deliveries, and what it delivers. */
import { systemClock } from "../../../src/clock.ts";
import { recordEvents, type NewEvent } from "../../../src/events/events.ts";
import { append } from "../../../src/journal/append.ts";
import { silentLogger } from "../../../src/logger.ts";
import { startRelay, type Relay, type RelayOptions } from "../../../src/relay/relay.ts";
import { createRoute } from "../../../src/relay/routing/routes.ts";
import { startReceiver, type Receiver } from "../receiver.ts";
import { INTEGRATION, webhook } from "../webhook.ts";
import type { Base } from "./base.ts";
import type { DestinationsPart } from "./destinations.ts";

export interface RelayPart {
  /** a worker, stopped with the world at the latest */
  start(options?: Partial<RelayOptions>): Promise<Relay>;
  /** a receiver of deliveries */
  receiver(): Promise<Receiver>;
  /** a destination for the receiver, with a route; `columns` are set as they are in relay.destinations */
  destination(
    receiver: { url: string },
    columns?: Record<string, unknown>,
    route?: Record<string, unknown>,
  ): Promise<{ id: string; secret: string }>;
  /** journals webhooks of these items; their bodies tell `n`, their place */
  webhooks(...itemIds: string[]): Promise<string[]>;
  event(event: Partial<NewEvent>): Promise<string>;
  /** how many deliveries have each status */
  statuses(destinationId?: string): Promise<Record<string, number>>;
}

type World = Base & { destinations: DestinationsPart };

export const relay = {
  needs: ["destinations"],
  /** @param options of every worker */
  start: async (world: World, options: Partial<RelayOptions>): Promise<RelayPart> => ({
    start: async (more = {}) => world.use(await startRelay({ ...defaultsOf(world), ...options, ...more })),
    receiver: async () => world.use(await startReceiver()),
    destination: (...given) => makeDestination(world, ...given),
    webhooks: (...itemIds) => journalWebhooks(world, itemIds),
    event: (event) => recordEvent(world, event),
    statuses: async (destinationId) => {
      const { rows } = await world.database.query<{ status: string; count: number }>(
        "select status, count(*)::int as count from relay.deliveries where $1::text is null or destination_id = $1 group by 1",
        [destinationId ?? null],
      );
      return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
    },
  }),
} as const;

const defaultsOf = ({ database, vault }: World): RelayOptions => ({
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
});

async function makeDestination(
  { database, destinations }: World,
  { url }: { url: string },
  columns: Record<string, unknown> = {},
  route: Record<string, unknown> = {},
): Promise<{ id: string; secret: string }> {
  const made = await destinations.create({ url });
  const names = Object.keys(columns);
  if (names.length > 0) {
    const sets = names.map((name, index) => `${name} = $${index + 2}`).join(", ");
    await database.query(`update relay.destinations set ${sets} where id = $1`, [made.id, ...Object.values(columns)]);
  }
  await createRoute(database, { destination_id: made.id, ...route });
  return { id: made.id, secret: made.signing_secret };
}

let serial = 0;

async function journalWebhooks({ database }: World, itemIds: string[]): Promise<string[]> {
  const made = itemIds.map((itemId) =>
    webhook({ itemId, body: Buffer.from(JSON.stringify({ item_id: itemId, n: (serial += 1) }, null, 2)) }),
  );
  await append(database, made);
  return made.map(({ id }) => id);
}

async function recordEvent({ database }: World, event: Partial<NewEvent>): Promise<string> {
  const whole: NewEvent = {
    type: "item.updated",
    integrationId: INTEGRATION,
    itemId: "item-1",
    userId: null,
    environment: "sandbox",
    data: {},
    ...event,
  };
  const [id = ""] = await database.transaction((tx) => recordEvents(tx, [whole]));
  return id;
}
