import { describe, expect, it } from "vitest";
import { deleteDestination } from "../../../src/relay/delete-destination.ts";
import { groups } from "../../../src/relay/ledger/dead-letters.ts";
import { deliveries, dispatchAll, settle } from "../past.ts";
import { startWorld } from "../../support/world/index.ts";

const NOWHERE = { url: "http://127.0.0.1:9" };

const byCause = (a: { cause: string | null }, b: { cause: string | null }) =>
  String(a.cause).localeCompare(String(b.cause));

describe("the dead letters", () => {
  it("the dead letters are paged by destination and cause, each group once, also those without a cause", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    for (let n = 0; n < 3; n += 1) await world.relay.destination(NOWHERE);
    const gone = await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1", "item-2", "item-3");
    await dispatchAll(database);
    await settle(database, "dead", { cause: "timeout" });
    await settle(database, "dead", { cause: "status_500", where: "seq % 3 = 0" });
    await settle(database, "dead", { cause: null, where: "seq % 3 = 1" });
    await deleteDestination(database, gone.id);
    for (const limit of [1, 2, 500]) {
      const found: string[] = [];
      for (let cursor: string | null = null; ;) {
        const page = await groups(database, { limit, cursor });
        found.push(...page.data.map(({ destination_id, cause }) => `${destination_id} ${cause}`));
        cursor = page.next_cursor;
        if (cursor === null) break;
      }
      const { rows } = await database.query<{ key: string }>(
        `select distinct destination_id || ' ' || coalesce(cause, 'null') as key from relay.deliveries
         where destination_id <> $1`,
        [gone.id],
      );
      expect(found.toSorted()).toEqual(rows.map(({ key }) => key).toSorted());
    }
  });

  it("the dead letters whose event is deleted are not counted as replayable", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE);
    const [gone] = await world.relay.webhooks("item-1", "item-2", "item-3");
    await dispatchAll(database);
    await settle(database, "dead", { cause: "timeout" });
    await database.query("delete from journal.webhooks where id = $1", [gone]);
    expect((await groups(database)).data).toMatchObject([{ count: 3, replayable: 2 }]);
  });

  it("the dead letters are counted by destination and cause, the largest group first, with their first and last", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    const one = await world.relay.destination(NOWHERE, { name: "ledger" });
    const two = await world.relay.destination(NOWHERE);
    await world.relay.webhooks("item-1", "item-2", "item-3");
    await dispatchAll(database);
    await settle(database, "dead", {
      cause: "timeout",
      at: "'2026-03-01T00:00:00Z'::timestamptz + seq * interval '1 hour'",
    });
    await settle(database, "dead", { cause: "status_500", where: `destination_id = '${two.id}' and seq > 5` });
    await settle(database, "delivered", {
      where: `seq = (select min(seq) from relay.deliveries where destination_id = '${two.id}')`,
    });
    const { data: all } = await groups(database);
    expect(all).toMatchObject([
      { destination_id: one.id, destination_name: "ledger", cause: "timeout", count: 3, replayable: 3 },
      { destination_id: two.id, count: 1 },
      { destination_id: two.id, count: 1 },
    ]);
    expect(new Set(all.slice(1).map(({ cause }) => cause))).toEqual(new Set(["status_500", "timeout"]));
    const hours = (await deliveries(database, one.id)).map(({ seq }) => Number(seq));
    const instant = (hour = 0) => new Date(Date.parse("2026-03-01T00:00:00Z") + hour * 3_600_000).toISOString();
    expect(all[0]).toMatchObject({ first_at: instant(hours[0]), last_at: instant(hours[2]) });
    const ofTwo = await groups(database, { destination_id: two.id });
    expect(ofTwo.data.toSorted(byCause)).toEqual(all.slice(1).toSorted(byCause));
    expect(await groups(database, { destination_id: "dst_nothing" })).toEqual({ data: [], next_cursor: null });
  });

  it("the dead letters are replayable while their event is kept, or the body that a transform made of it", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.destination(NOWHERE, {}, { form: "original", filter: { types: ["webhook.received"] } });
    await world.relay.destination(NOWHERE, {}, { form: "event" });
    const gone = [...(await world.relay.webhooks("item-1")), await world.relay.event({})];
    await world.relay.webhooks("item-1");
    await world.relay.event({});
    await dispatchAll(database);
    await settle(database, "dead", { cause: "timeout" });
    await database.query("update relay.deliveries set body = '{}' where event_id = $1 and form = 'event'", [gone[0]]);
    await database.query("delete from journal.webhooks where id = any ($1::uuid[])", [gone]);
    await database.query("delete from events.events where id = any ($1::uuid[])", [gone]);
    const found = (await groups(database)).data.toSorted((a, b) => a.count - b.count);
    // The first keeps no bytes of its own; of the second, one body is kept and one event is gone.
    expect(found).toMatchObject([
      { count: 2, replayable: 1 },
      { count: 4, replayable: 3 },
    ]);
  });
});
