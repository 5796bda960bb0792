/** A reader of events that comes back too late is refused, and never skips events unnoticed. */
import { describe, expect, it } from "vitest";
import { readEvents, waitForEvents } from "../../../src/relay/feed/event-feed.ts";
import { forget } from "../../../src/relay/retention.ts";
import { dispatchAll } from "../past.ts";
import { refusalOf } from "../support.ts";
import { startWorld, type World } from "../../support/world/index.ts";

/** Dispatches what there is, and then forgets all that was written so far. */
async function forgetAll({ database }: World): Promise<void> {
  await dispatchAll(database);
  await database.query("update events.outbox set written_at = now() - interval '91 days'");
  await forget({ database, retentionDays: 90 });
}

describe("a cursor", () => {
  it("a cursor after which events were deleted is refused with the time from which events are kept", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.webhooks("item-1");
    await dispatchAll(database);
    const { next_cursor } = await readEvents(database, {});
    await world.relay.webhooks("item-2");
    await forgetAll(world);
    const [kept] = await world.relay.webhooks("item-3");
    await dispatchAll(database);
    const refusal = await refusalOf(readEvents(database, { cursor: next_cursor }));
    expect(refusal).toMatchObject({ code: "cursor_expired", fields: { cursor: expect.any(String) } });
    expect(refusal.message).toMatch(/cursor=start.*from \d{4}-\d\d-\d\dT/);
    expect(await refusalOf(waitForEvents(database, { cursor: next_cursor }, 10))).toMatchObject({
      code: "cursor_expired",
    });
    const page = await readEvents(database, { cursor: "start" });
    expect(page.events.map(({ id }) => id)).toEqual([`evt_${kept?.replaceAll("-", "")}`]);
  });

  it("inside a commit whose later events were deleted is refused", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.webhooks("item-1", "item-2");
    await dispatchAll(database);
    const { events } = await readEvents(database, {});
    await forgetAll(world);
    expect(await refusalOf(readEvents(database, { cursor: events[0]?.cursor }))).toMatchObject({
      code: "cursor_expired",
    });
    expect(await readEvents(database, { cursor: events[1]?.cursor })).toMatchObject({ events: [] });
  });

  it("a cursor of a client that had read all deleted events continues, however long ago that was", async () => {
    await using world = await startWorld({ relay: {} });
    const { database } = world;
    await world.relay.webhooks("item-1");
    await dispatchAll(database);
    const { next_cursor, events } = await readEvents(database, {});
    await forgetAll(world);
    for (const cursor of [next_cursor, events[0]?.cursor, "start", "now"]) {
      const page = await readEvents(database, { cursor });
      expect(page.events).toEqual([]);
      expect(await readEvents(database, { cursor: page.next_cursor })).toMatchObject({ events: [] });
    }
  });

  it("a cursor from before the first event is refused once the first events are deleted", async () => {
    await using world = await startWorld({ relay: {} });
    const { next_cursor } = await readEvents(world.database, {});
    await world.relay.webhooks("item-1");
    await forgetAll(world);
    expect(await refusalOf(readEvents(world.database, { cursor: next_cursor }))).toMatchObject({
      code: "cursor_expired",
    });
  });
});
