/** Routes: what they say where nothing is said, what is refused, and that what they said stays what it was. */
import { describe, expect, test } from "vitest";
import {
  createRoute,
  deleteRoute,
  getRoute,
  listRoutes,
  loadRoutes,
  updateRoute,
  type NewRoute,
} from "../../../src/relay/routing/routes.ts";
import { startWorld } from "../../support/world/index.ts";
import { STRICT, refusalOf } from "../support.ts";

const nowhere = { transaction: () => Promise.reject(new Error("reached the database")) } as never;

test("a route without settings sends all events except those of first readings, in form event", async () => {
  await using world = await startWorld(STRICT);
  const { id: destination_id } = await world.destinations.create();
  const made = await createRoute(world.database, { destination_id });
  expect(made).toEqual({
    id: expect.stringMatching(/^rte_[a-z0-9]{24}$/),
    destination_id,
    name: "",
    enabled: true,
    version: 1,
    filter: { types: ["*"] },
    match: null,
    form: "event",
    transform: null,
    created_at: expect.stringMatching(/Z$/),
    updated_at: made.created_at,
  });
  expect(await getRoute(world.database, made.id)).toEqual(made);
});

test("a route of form original takes Plaid's webhooks by default", async () => {
  await using world = await startWorld(STRICT);
  const { id: destination_id } = await world.destinations.create();
  const made = await createRoute(world.database, { destination_id, form: "original" });
  expect(made.filter).toEqual({ types: ["webhook.received"], sources: ["PLAID"] });
  const other = await createRoute(world.database, {
    destination_id,
    form: "original",
    filter: { sources: ["BACKEND"] },
  });
  expect(other.filter).toEqual({ types: ["webhook.received"], sources: ["BACKEND"] });
});

test("a route with a transform has the form transform", async () => {
  await using world = await startWorld(STRICT);
  const { id: destination_id } = await world.destinations.create();
  expect(await createRoute(world.database, { destination_id, transform: "data" })).toMatchObject({ form: "transform" });
});

test("all settings of a route are stored", async () => {
  await using world = await startWorld(STRICT);
  const { id: destination_id } = await world.destinations.create();
  const given: NewRoute = {
    destination_id,
    name: "Errors to the agent",
    enabled: false,
    filter: {
      types: ["item.*", "destination.disabled"],
      integration_ids: ["svi_1"],
      environments: ["production"],
      item_ids: ["item-1", "item-2"],
      user_ids: ["user-1"],
      webhook_types: ["ITEM"],
      webhook_codes: ["ERROR"],
      sources: ["PLAID", "RECONCILER"],
      history: true,
    },
    match: { z: 1, "data.error.error_code": { $in: ["ITEM_LOGIN_REQUIRED"] }, a: { $not: { $gt: 1.5 } } },
    form: "transform",
    transform: '{"item": item_id}',
  };
  expect(await createRoute(world.database, given)).toMatchObject(given);
});

describe("an invalid route is refused with each error", () => {
  const TABLE: [string, Record<string, unknown>, string][] = [
    ["a type there is not", { filter: { types: ["item.errors"] } }, "filter.types.0"],
    ["a family there is not", { filter: { types: ["items.*"] } }, "filter.types.0"],
    ["part of a pattern", { filter: { types: ["item*"] } }, "filter.types.0"],
    ["an empty list", { filter: { item_ids: [] } }, "filter.item_ids"],
    ["a text instead of a list", { filter: { item_ids: "item-1" } }, "filter.item_ids"],
    ["a number in a list", { filter: { user_ids: ["user-1", 1] } }, "filter.user_ids.1"],
    ["an empty text in a list", { filter: { webhook_codes: [""] } }, "filter.webhook_codes.0"],
    ["what cannot be stored", { filter: { webhook_codes: ["\0"] } }, "filter.webhook_codes.0"],
    ["a source there is not", { filter: { sources: ["PLAIDS"] } }, "filter.sources.0"],
    ["more than 1000 values", { filter: { item_ids: Array.from({ length: 1001 }, String) } }, "filter.item_ids"],
    ["a mistyped filter", { filter: { item_id: ["item-1"] } }, "filter.item_id"],
    ["history that is no truth", { filter: { history: "yes" } }, "filter.history"],
    ["a filter that is a list", { filter: [] }, "filter"],
    ["no filter at all", { filter: null }, "filter"],
    ["a matcher with an unknown operator", { match: { a: { $regex: "x" } } }, "match.a.$regex"],
    ["a matcher that is a list", { match: [] }, "match"],
    ["a form there is not", { form: "raw" }, "form"],
    ["the form transform without one", { form: "transform" }, "transform"],
    ["a transform with another form", { form: "event", transform: "data" }, "transform"],
    ["a transform that is no JSONata", { transform: "data.[" }, "transform"],
    ["a transform that reads the time", { transform: "$now()" }, "transform"],
    ["the original of what is no webhook", { form: "original", filter: { types: ["item.error"] } }, "filter.types"],
    ["the original of everything", { form: "original", filter: { types: ["*"] } }, "filter.types"],
    ["a name that is too long", { name: "x".repeat(201) }, "name"],
    ["a truth that is none", { enabled: 1 }, "enabled"],
    ["a mistyped name", { filters: {} }, "filters"],
  ];

  test.for(TABLE)("%s", async ([, given, field]) => {
    const { code, fields } = await refusalOf(createRoute(nowhere, { destination_id: "dst_1", ...given }));
    expect([code, Object.keys(fields)]).toEqual(["invalid_request", [field]]);
  });

  test("all errors of a route are returned together", async () => {
    const given = { filter: { types: ["x"], sources: ["y"] }, match: { $a: 1 }, transform: "(", name: 1 };
    const { fields } = await refusalOf(
      createRoute(nowhere, { destination_id: "dst_1", ...given } as unknown as NewRoute),
    );
    expect(Object.keys(fields)).toEqual(["name", "filter.types.0", "filter.sources.0", "match.$a", "transform"]);
  });

  test("a route to an unknown destination is refused", async () => {
    await using world = await startWorld(STRICT);
    const { code, fields } = await refusalOf(createRoute(world.database, { destination_id: "dst_none" }));
    expect([code, fields]).toEqual(["invalid_request", { destination_id: "names no destination" }]);
    expect(await listRoutes(world.database)).toEqual([]);
  });
});

describe("a change", () => {
  test("a change creates a new version, and the previous one stays for its deliveries", async () => {
    await using world = await startWorld(STRICT);
    const { id: destination_id } = await world.destinations.create();
    const made = await createRoute(world.database, {
      destination_id,
      filter: { item_ids: ["item-1"] },
      match: { b: 1, a: 2 },
    });
    const changed = await updateRoute(world.database, made.id, { filter: { item_ids: ["item-2"] } });
    expect(changed).toEqual({
      ...made,
      version: 2,
      filter: { types: ["*"], item_ids: ["item-2"] },
      updated_at: changed.updated_at,
    });
    const { rows } = await world.database.query(
      "select version, definition -> 'filter' ->> 'item_ids' as items from relay.route_versions order by 1",
    );
    expect(rows).toEqual([
      { version: 1, items: '["item-1"]' },
      { version: 2, items: '["item-2"]' },
    ]);
  });

  test("a change without new values creates no version", async () => {
    await using world = await startWorld(STRICT);
    const { id: destination_id } = await world.destinations.create();
    const made = await createRoute(world.database, { destination_id, match: { zz: 1, a: { $gt: 2, $exists: true } } });
    const renamed = await updateRoute(world.database, made.id, {
      name: "new",
      enabled: false,
      match: { a: { $exists: true, $gt: 2 }, zz: 1 },
    });
    expect(renamed).toMatchObject({ name: "new", enabled: false, version: 1 });
    expect((await updateRoute(world.database, made.id, {})).version).toBe(1);
  });

  test("a change of the form removes the transform or requires one", async () => {
    await using world = await startWorld(STRICT);
    const { id: destination_id } = await world.destinations.create();
    const { id } = await createRoute(world.database, { destination_id, transform: "data" });
    expect(await updateRoute(world.database, id, { form: "event" })).toMatchObject({ form: "event", transform: null });
    expect((await refusalOf(updateRoute(world.database, id, { form: "transform" }))).fields).toHaveProperty(
      "transform",
    );
    expect(await updateRoute(world.database, id, { transform: "type" })).toMatchObject({
      form: "transform",
      transform: "type",
    });
    expect(await updateRoute(world.database, id, { transform: null })).toMatchObject({
      form: "event",
      transform: null,
    });
    expect(await updateRoute(world.database, id, { form: "original" })).toMatchObject({
      form: "original",
      filter: { types: ["webhook.received"], sources: ["PLAID"] },
    });
    expect(await updateRoute(world.database, id, { form: "event" })).toMatchObject({
      filter: { types: ["webhook.received"], sources: ["PLAID"] },
    });
  });

  test("a change to the form original is refused for types that are not webhooks, and changes nothing", async () => {
    await using world = await startWorld(STRICT);
    const { id: destination_id } = await world.destinations.create();
    const made = await createRoute(world.database, { destination_id, filter: { types: ["item.*"] } });
    expect((await refusalOf(updateRoute(world.database, made.id, { form: "original" }))).fields).toHaveProperty(
      "filter.types",
    );
    expect(await getRoute(world.database, made.id)).toEqual(made);
  });

  test("a change that comes together with another keeps both", async () => {
    await using world = await startWorld(STRICT);
    const { id: destination_id } = await world.destinations.create();
    const { id } = await createRoute(world.database, { destination_id });
    const changes = await world.database.transaction(async (tx) => {
      await tx.query("select from relay.routes where id = $1 for update", [id]);
      const both = Promise.all([
        updateRoute(world.database, id, { match: { a: 1 } }),
        updateRoute(world.database, id, { filter: { item_ids: ["item-1"] } }),
      ]);
      const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      await expect.poll(async () => (await world.database.query(waiting)).rowCount).toBe(2);
      return { both };
    });
    await changes.both;
    expect(await getRoute(world.database, id)).toMatchObject({
      version: 3,
      match: { a: 1 },
      filter: { item_ids: ["item-1"] },
    });
  });
});

test("enabled routes are loaded oldest first with their destination's ordering", async () => {
  await using world = await startWorld(STRICT);
  const { id: one } = await world.destinations.create({ ordering: "per_item" });
  const { id: two } = await world.destinations.create();
  const first = await createRoute(world.database, { destination_id: one, match: { a: 1 } });
  const second = await createRoute(world.database, { destination_id: two, transform: "data" });
  const off = await createRoute(world.database, { destination_id: two, enabled: false });
  const gone = await createRoute(world.database, { destination_id: two });
  await deleteRoute(world.database, gone.id);
  await updateRoute(world.database, first.id, { form: "webhook" });
  expect(await loadRoutes(world.database)).toEqual([
    {
      id: first.id,
      version: 2,
      destinationId: one,
      ordering: "per_item",
      definition: { filter: { types: ["*"] }, match: { a: 1 }, form: "webhook", transform: null },
    },
    {
      id: second.id,
      version: 1,
      destinationId: two,
      ordering: "parallel",
      definition: { filter: { types: ["*"] }, match: null, form: "transform", transform: "data" },
    },
  ]);
  expect((await listRoutes(world.database)).map(({ id }) => id)).toEqual([first.id, second.id, off.id]);
  expect((await listRoutes(world.database, { destination_id: two })).map(({ id }) => id)).toEqual([second.id, off.id]);
});

test("a deleted route is not listed, and its versions stay", async () => {
  await using world = await startWorld(STRICT);
  const { id: destination_id } = await world.destinations.create();
  const { id } = await createRoute(world.database, { destination_id });
  await deleteRoute(world.database, id);
  expect(await getRoute(world.database, id)).toBeNull();
  expect((await refusalOf(deleteRoute(world.database, id))).code).toBe("not_found");
  expect((await refusalOf(updateRoute(world.database, id, {}))).code).toBe("not_found");
  const { rows } = await world.database.query("select route_id from relay.route_versions");
  expect(rows).toEqual([{ route_id: id }]);
});
