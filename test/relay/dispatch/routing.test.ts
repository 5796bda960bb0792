/** The routes in dispatch's memory are never older than the events that it dispatches, although routes change meanwhile. */
import { describe, expect, it } from "vitest";
import type { Database, Queryable } from "../../../src/database/types.ts";
import { deleteDestination } from "../../../src/relay/delete-destination.ts";
import { updateDestination } from "../../../src/relay/destinations/destinations.ts";
import { Dispatcher } from "../../../src/relay/dispatch/dispatcher.ts";
import { WAITING_ROWS } from "../../../src/relay/dispatch/queries.ts";
import { createRoute, deleteRoute, listRoutes, loadRouting, updateRoute } from "../../../src/relay/routing/routes.ts";
import { deliveries } from "../past.ts";
import { startWorld } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

/** Calls `between` after each statement that finds what waits, before the dispatcher can do anything with it. */
const interrupted = (database: Database, between: () => Promise<unknown>): Database => ({
  query: database.query.bind(database),
  listen: database.listen.bind(database),
  transaction: (work) =>
    database.transaction((tx) => {
      const query = async (...given: Parameters<Queryable["query"]>) => {
        const result = await tx.query(...given);
        if (given[0] === WAITING_ROWS) await between();
        return result;
      };
      return work({ query: query as Queryable["query"] });
    }),
  [Symbol.asyncDispose]: async () => undefined,
});

describe("the routes that dispatch keeps in memory", () => {
  it("the routes in dispatch's memory are current although a route is turned off and on again while they are read", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    const [route] = await listRoutes(database);
    const id = route?.id ?? "";
    let turn = 0;
    const dispatcher = new Dispatcher(
      interrupted(database, async () => {
        turn += 1;
        if (turn === 1) await updateRoute(database, id, { enabled: false });
      }),
      "test",
    );
    await world.relay.webhooks("item-1");
    await dispatcher.dispatch();
    await updateRoute(database, id, { enabled: true });
    await world.relay.webhooks("item-2");
    await dispatcher.dispatch();
    expect((await deliveries(database)).map(({ item_id }) => item_id)).toEqual(["item-2"]);
  });

  it("the routes in dispatch's memory are current although an ordering is changed and changed back while they are read", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const { id } = await world.relay.destination(NOWHERE);
    let turn = 0;
    const dispatcher = new Dispatcher(
      interrupted(database, async () => {
        turn += 1;
        if (turn === 1) await updateDestination(world.destinations, id, { ordering: "per_item" });
      }),
      "test",
    );
    await world.relay.webhooks("item-1");
    await dispatcher.dispatch();
    await updateDestination(world.destinations, id, { ordering: "parallel" });
    await world.relay.webhooks("item-2");
    await dispatcher.dispatch();
    expect((await deliveries(database)).map(({ ordering_key }) => ordering_key)).toEqual(["item-1", null]);
  });

  it("the version of the routes in dispatch's memory rises with each change that matters to dispatch and with no other", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const versions: number[] = [];
    const note = async () => versions.push((await loadRouting(database)).version);
    const { id } = await world.relay.destination(NOWHERE);
    await note();
    const route = await createRoute(database, { destination_id: id });
    await note();
    await updateRoute(database, route.id, { enabled: false });
    await note();
    await updateRoute(database, route.id, { filter: { types: ["item.*"] } });
    await note();
    await updateDestination(world.destinations, id, { ordering: "per_item" });
    await note();
    await deleteRoute(database, route.id);
    await note();
    await deleteDestination(database, id);
    await note();
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
    const other = await world.relay.destination(NOWHERE);
    await note();
    await updateDestination(world.destinations, other.id, { name: "ledger", timeout_ms: 2000 });
    await note();
    expect(versions.at(-1)).toBe(versions.at(-2));
  });
});
