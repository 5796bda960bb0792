import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import {
  pauseDestination,
  resumeDestination,
  rotateSigningKey,
  updateDestination,
} from "../../../src/relay/destinations/destinations.ts";
import { until } from "../../support/until.ts";
import { count } from "../support.ts";
import { startWorld } from "../../support/world/index.ts";

/** What changes while deliveries are under way. */

describe("a signing key that expires", () => {
  it("a signing key that expires stops signing at its time, although nobody changes the destination then", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver);
    await rotateSigningKey(world.destinations, id, { grace_s: 3600 });
    await world.database.query(
      "update relay.signing_keys set expires_at = now() + interval '4 seconds' where expires_at is not null",
    );
    const relay = await world.relay.start();
    const signatures = async () => {
      await world.relay.webhooks("item-1");
      await relay.idle();
      return String(receiver.received.at(-1)?.headers["webhook-signature"]).split(" ").length;
    };
    expect(await signatures()).toBe(2);
    await until("the older one signs no more", async () => (await signatures()) === 1, 15);
  });
});

describe("a delivery that waits for the concurrency limit while its destination is changed", () => {
  it("a delivery that waits for the concurrency limit while its destination is changed is sent to the new URL, signed by the new key, and recorded with both", async () => {
    await using world = await startWorld({ relay: {} });
    const [before, after] = [await world.relay.receiver(), await world.relay.receiver()];
    const { id } = await world.relay.destination(before, { concurrency: 2 });
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    before.answer = async () => {
      await released;
      return {};
    };
    const relay = await world.relay.start({ concurrency: 1 });
    await world.relay.webhooks("item-1", "item-2");
    await until("one has the slot", async () => before.received.length === 1);
    await updateDestination(world.destinations, id, { url: after.url });
    const { signing_secret } = await rotateSigningKey(world.destinations, id, { grace_s: 0 });
    // The leases are checked every 40 ms.
    await delay(500);
    release();
    await relay.idle();
    await until("both arrived", async () => (await world.relay.statuses())["delivered"] === 2);
    expect([before.received.length, after.received.length]).toEqual([1, 1]);
    const [{ body, headers } = { body: "", headers: {} }] = after.received;
    new Webhook(signing_secret).verify(body, headers as Record<string, string>);
    const { rows } = await world.database.query<{ url: string }>("select url from relay.attempts order by started_at");
    expect(rows.map(({ url }) => url)).toEqual([before.url, after.url]);
  });
});

describe("a rate that is changed under load", () => {
  it("a rate that is changed under load holds in every window from the change on, however many requests were under way before it", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { rate_limit: 200, rate_window_ms: 1000, concurrency: 32 });
    receiver.answer = () => ({ delayMs: 150 });
    await world.relay.start();
    await world.relay.webhooks(...count(400));
    await until("it is under load", async () => receiver.received.length > 60);
    await updateDestination(world.destinations, id, { rate_limit: { count: 5, window_ms: 1000 } });
    const changedAt = performance.now();
    // From then on the change is in effect; requests under the previous rate were sent before.
    await until("the new rate takes effect", async () => {
      const last = receiver.received.at(-1)?.at ?? 0;
      return performance.now() - last > 500;
    });
    const before = receiver.received.length;
    expect(before).toBeLessThan(400);
    await until("some more came", async () => receiver.received.length >= before + 12);
    const times = receiver.received.map(({ at }) => at).filter((at) => at > changedAt);
    const fromPause = receiver.received.slice(before - 1).map(({ at }) => at);
    const most = Math.max(
      ...fromPause.map((at) => receiver.received.filter((each) => each.at >= at && each.at < at + 1000).length),
    );
    expect(most).toBeLessThanOrEqual(5);
    expect(times.length).toBeGreaterThan(10);
  });
});

describe("a delivery that is cancelled", () => {
  it("a delivery that is cancelled while its transform runs is not sent", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, {}, { form: "transform", transform: '{"item": item_id}' });
    const relay = await world.relay.start();
    await pauseDestination(world.database, id);
    await world.relay.webhooks("item-1");
    await until("it waits", async () => (await world.relay.statuses())["scheduled"] === 1);
    // The body that a transform made is kept before it is sent; that statement waits for this transaction.
    const client = new Client(world.databaseUrl);
    await client.connect();
    await client.query("begin");
    await client.query("select from relay.deliveries for update");
    await resumeDestination(world.database, id);
    await until("the transform has ended", async () => {
      const { rows } = await world.database.query(
        `select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and query like '%set body = %'`,
      );
      return rows.length > 0;
    });
    await client.query("update relay.deliveries set status = 'cancelled', due_at = null, finished_at = now()");
    await client.query("commit");
    await client.end();
    await relay.idle();
    // What comes afterwards is sent, so the first would have been by now.
    await world.relay.webhooks("item-2");
    await until("the next one arrived", async () => (await world.relay.statuses())["delivered"] === 1);
    expect(receiver.received.map(({ body }) => body.toString())).toEqual(['{"item":"item-2"}']);
    expect(await world.relay.statuses()).toEqual({ cancelled: 1, delivered: 1 });
  });
});
