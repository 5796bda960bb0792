/** A deleted destination: what is wiped, what is cancelled, and what is kept. */
import { expect, test } from "vitest";
import { deleteDestination } from "../../../src/relay/delete-destination.ts";
import {
  disableDestination,
  enableDestination,
  getDestination,
  listDestinations,
  loadDestinations,
  pauseDestination,
  resumeDestination,
  rotateSigningKey,
  updateDestination,
} from "../../../src/relay/destinations/destinations.ts";
import { BEGIN_DISPATCH } from "../../../src/relay/dispatch/queries.ts";
import { createRoute, listRoutes } from "../../../src/relay/routing/routes.ts";
import { startWorld } from "../../support/world/index.ts";
import { STRICT, plantDeliveries as deliveries, refusalOf } from "../support.ts";

test("deleting a destination wipes its secrets, deletes its routes, cancels scheduled deliveries and keeps finished ones", async () => {
  await using world = await startWorld(STRICT);
  const { id } = await world.destinations.create({ headers: { "x-a": "1" } });
  const { id: other } = await world.destinations.create();
  await createRoute(world.database, { destination_id: id });
  const kept = await createRoute(world.database, { destination_id: other });
  await deliveries(world, id, 12_000);
  await deliveries(world, id, 2, "'delivered', null, null");
  await deliveries(world, other, 1);
  await world.database.query(
    "insert into relay.jobs (id, kind, destination_id, asked, total) values ('job_1', 'replay', $1, '{}', 1)",
    [id],
  );
  await deleteDestination(world.database, id);
  expect(await getDestination(world.database, id)).toBeNull();
  expect((await listDestinations(world.database)).map((each) => each.id)).toEqual([other]);
  expect(await loadDestinations(world.database, world.vault, [id])).toEqual([]);
  expect(await listRoutes(world.database)).toEqual([kept]);
  const { rows } = await world.database.query(
    `select destination_id = $1 as deleted, status, count(*)::int as n, count(due_at)::int as due from relay.deliveries
     group by 1, 2 order by 1, 2`,
    [id],
  );
  expect(rows).toEqual([
    { deleted: false, status: "scheduled", n: 1, due: 1 },
    { deleted: true, status: "cancelled", n: 12_000, due: 0 },
    { deleted: true, status: "delivered", n: 2, due: 0 },
  ]);
  const { rows: secrets } = await world.database.query(
    `select headers_sealed, (select count(*)::int from relay.signing_keys k where k.destination_id = d.id) as keys,
     (select status from relay.jobs) as job from relay.destinations d where id = $1`,
    [id],
  );
  expect(secrets).toEqual([{ headers_sealed: null, keys: 0, job: "cancelled" }]);
});

test("an interrupted deletion can be repeated, and then the destination is not found", async () => {
  await using world = await startWorld(STRICT);
  const { id } = await world.destinations.create();
  await deleteDestination(world.database, id);
  await deliveries(world, id, 3);
  await deleteDestination(world.database, id);
  expect((await refusalOf(deleteDestination(world.database, id))).code).toBe("not_found");
  const { rows } = await world.database.query("select distinct status from relay.deliveries");
  expect(rows).toEqual([{ status: "cancelled" }]);
});

test("deleting a destination also cancels deliveries of a dispatch that is under way", async () => {
  await using world = await startWorld(STRICT);
  const { id } = await world.destinations.create();
  const { deleting } = await world.database.transaction(async (tx) => {
    await tx.query(BEGIN_DISPATCH);
    await deliveries({ database: tx }, id, 3);
    const deleting = deleteDestination(world.database, id);
    const waiting = "select from pg_locks where not granted and relation = 'tartan_locks.dispatch'::regclass";
    await expect.poll(async () => (await world.database.query(waiting)).rowCount).toBe(1);
    return { deleting };
  });
  await deleting;
  const { rows } = await world.database.query("select status, count(*)::int as n from relay.deliveries group by 1");
  expect(rows).toEqual([{ status: "cancelled", n: 3 }]);
});

test("a deleted destination cannot be changed", async () => {
  await using world = await startWorld(STRICT);
  const { id } = await world.destinations.create();
  await deleteDestination(world.database, id);
  const works = [
    () => updateDestination(world.destinations, id, { name: "x" }),
    () => updateDestination(world.destinations, id, {}),
    () => pauseDestination(world.database, id),
    () => resumeDestination(world.database, id),
    () => enableDestination(world.database, id),
    () => disableDestination(world.database, id),
    () => rotateSigningKey(world.destinations, id),
  ];
  for (const work of works) expect((await refusalOf(work())).code).toBe("not_found");
  expect((await refusalOf(createRoute(world.database, { destination_id: id }))).fields).toHaveProperty(
    "destination_id",
  );
});
