/** Test deliveries: they show whether a receiver works, and change nothing else. */
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { createGuard } from "../../../src/relay/senders/http/guard.ts";
import { listDeliveries } from "../../../src/relay/ledger/deliveries.ts";
import { createRedrive, createReplay } from "../../../src/relay/jobs/jobs.ts";
import { sendTest } from "../../../src/relay/ledger/test-deliveries.ts";
import { dispatchAll } from "../past.ts";
import { refusalOf } from "../support.ts";
import { startWorld, type World } from "../../support/world/index.ts";

const depsOf = ({ database, vault }: World) => ({ database, vault, guard: createGuard({ allow: ["127.0.0.1"] }) });

const healthOf = async ({ database }: World) =>
  (await database.query("select to_jsonb(h) as health from relay.health h order by destination_id")).rows;

describe("a test delivery", () => {
  it("a test delivery is signed like any other, says that it is a test, and shows what the receiver answered", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    receiver.answer = () => ({ status: 202, headers: { "x-receiver": "here" }, body: "thanks" });
    const { id, secret } = await world.relay.destination(receiver);
    const delivery = await sendTest(depsOf(world), id);
    expect(delivery).toMatchObject({ status: "delivered", event_type: "destination.test", attempts: 1, cause: null });
    expect(delivery.log).toMatchObject([
      { number: 1, status: 202, error: null, response_head: "thanks", response_headers: { "x-receiver": "here" } },
    ]);
    const [received] = receiver.received;
    expect(received?.headers).toMatchObject({ "tartan-test": "true", "tartan-delivery-id": delivery.id });
    const event = new Webhook(secret).verify(received?.body ?? "", received?.headers as Record<string, string>);
    expect(event).toMatchObject({ id: delivery.event_id, type: "destination.test", data: { test: true } });
  });

  it("a test delivery that fails is shown with its cause, is not retried and is not a dead letter", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    receiver.answer = () => ({ status: 500 });
    const { id } = await world.relay.destination(receiver);
    expect(await sendTest(depsOf(world), id)).toMatchObject({ status: "cancelled", cause: "status_500", attempts: 1 });
    expect(await createRedrive(world.database, { dry_run: true })).toEqual({ count: 0 });
    const relay = await world.relay.start();
    await relay.idle();
    expect(receiver.received).toHaveLength(1);
  });

  it("a test delivery changes neither the destination's health nor its scheduled deliveries, and is sent while it is paused", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    receiver.answer = () => ({ status: 500 });
    const { id } = await world.relay.destination(receiver, { ordering: "per_item", paused_at: new Date() });
    await world.relay.webhooks("item-1");
    await dispatchAll(world.database);
    const before = await healthOf(world);
    await sendTest(depsOf(world), id);
    expect(await healthOf(world)).toEqual(before);
    expect(receiver.received).toHaveLength(1);
    expect(await world.relay.statuses()).toEqual({ scheduled: 1, cancelled: 1 });
  });

  it("a test delivery is refused by the address guard as other deliveries are", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver);
    const delivery = await sendTest({ ...depsOf(world), guard: createGuard({ allow: [] }) }, id);
    expect(delivery).toMatchObject({ status: "cancelled", cause: "address_refused" });
    expect(receiver.received).toEqual([]);
  });

  it("a test delivery is listed in the ledger and is not part of a replay", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver);
    const { id: delivery, event_id } = await sendTest(depsOf(world), id);
    expect((await listDeliveries(world.database, { destination_id: id })).data).toMatchObject([{ id: delivery }]);
    const all = { destination_id: id, from: "2020-01-01T00:00:00Z", dry_run: true };
    expect(await createReplay(world.database, all)).toEqual({ count: 0 });
    expect(await refusalOf(createReplay(world.database, { destination_id: id, event_id }))).toMatchObject({
      code: "conflict",
      message: expect.stringContaining("test"),
    });
  });

  it("a test delivery to an unknown destination is refused", async () => {
    await using world = await startWorld({ relay: {} });
    expect(await refusalOf(sendTest(depsOf(world), "dst_nothing"))).toMatchObject({ code: "not_found" });
  });
});
