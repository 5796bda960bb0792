/** Test deliveries: they show whether a receiver works, and change nothing else. */
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { createGuard } from "../../../src/relay/senders/http/guard.ts";
import { listDeliveries } from "../../../src/relay/ledger/deliveries.ts";
import { createRedrive, createReplay } from "../../../src/relay/jobs/jobs.ts";
import { sendTest } from "../../../src/relay/ledger/test-deliveries.ts";
import { dispatchAll } from "../past.ts";
import { openScene, type Scene } from "../scene.ts";
import { refusalOf } from "../support.ts";

const depsOf = ({ database, vault }: Scene) => ({ database, vault, guard: createGuard({ allow: ["127.0.0.1"] }) });

const healthOf = async ({ database }: Scene) =>
  (await database.query("select to_jsonb(h) as health from relay.health h order by destination_id")).rows;

describe("a test delivery", () => {
  it("a test delivery is signed like any other, says that it is a test, and shows what the receiver answered", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    receiver.answer = () => ({ status: 202, headers: { "x-receiver": "here" }, body: "thanks" });
    const { id, secret } = await scene.destination(receiver);
    const delivery = await sendTest(depsOf(scene), id);
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
    await using scene = await openScene();
    const receiver = await scene.receiver();
    receiver.answer = () => ({ status: 500 });
    const { id } = await scene.destination(receiver);
    expect(await sendTest(depsOf(scene), id)).toMatchObject({ status: "cancelled", cause: "status_500", attempts: 1 });
    expect(await createRedrive(scene.database, { dry_run: true })).toEqual({ count: 0 });
    const relay = await scene.relay();
    await relay.idle();
    expect(receiver.received).toHaveLength(1);
  });

  it("a test delivery changes neither the destination's health nor its scheduled deliveries, and is sent while it is paused", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    receiver.answer = () => ({ status: 500 });
    const { id } = await scene.destination(receiver, { ordering: "per_item", paused_at: new Date() });
    await scene.webhooks("item-1");
    await dispatchAll(scene.database);
    const before = await healthOf(scene);
    await sendTest(depsOf(scene), id);
    expect(await healthOf(scene)).toEqual(before);
    expect(receiver.received).toHaveLength(1);
    expect(await scene.statuses()).toEqual({ scheduled: 1, cancelled: 1 });
  });

  it("a test delivery is refused by the address guard as other deliveries are", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    const { id } = await scene.destination(receiver);
    const delivery = await sendTest({ ...depsOf(scene), guard: createGuard({ allow: [] }) }, id);
    expect(delivery).toMatchObject({ status: "cancelled", cause: "address_refused" });
    expect(receiver.received).toEqual([]);
  });

  it("a test delivery is listed in the ledger and is not part of a replay", async () => {
    await using scene = await openScene();
    const receiver = await scene.receiver();
    const { id } = await scene.destination(receiver);
    const { id: delivery, event_id } = await sendTest(depsOf(scene), id);
    expect((await listDeliveries(scene.database, { destination_id: id })).data).toMatchObject([{ id: delivery }]);
    const all = { destination_id: id, from: "2020-01-01T00:00:00Z", dry_run: true };
    expect(await createReplay(scene.database, all)).toEqual({ count: 0 });
    expect(await refusalOf(createReplay(scene.database, { destination_id: id, event_id }))).toMatchObject({
      code: "conflict",
      message: expect.stringContaining("test"),
    });
  });

  it("a test delivery to an unknown destination is refused", async () => {
    await using scene = await openScene();
    expect(await refusalOf(sendTest(depsOf(scene), "dst_nothing"))).toMatchObject({ code: "not_found" });
  });
});
