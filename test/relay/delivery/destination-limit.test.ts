import { describe, expect, it } from "vitest";
import { toDeliveryId } from "../../../src/model/ids.ts";
import { DestinationLimit } from "../../../src/relay/delivery/destination-limit.ts";
import { pauseDestination, resumeDestination } from "../../../src/relay/destinations/destinations.ts";
import { until } from "../../support/until.ts";
import { startWorld } from "../../support/world/index.ts";
import { count, ORIGINAL, places } from "../support.ts";

const LONG_MS = 60_000;

/** Asks for so many requests. @returns the numbers of those that were granted and refused so far */
function ask(limit: DestinationLimit, times: number, withinMs = LONG_MS): { granted: number[]; refused: number[] } {
  const answers = { granted: [] as number[], refused: [] as number[] };
  for (let n = 1; n <= times; n += 1) {
    void limit.acquire(withinMs).then((granted) => answers[granted ? "granted" : "refused"].push(n));
  }
  return answers;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("the concurrency limit of a destination", () => {
  it("the concurrency limit of a destination starts the requests that wait in their order, one for each that ends", async () => {
    const limit = new DestinationLimit(() => 2);
    const asked = ask(limit, 5);
    await settled();
    expect(asked.granted).toEqual([1, 2]);
    limit.release();
    // One that comes now does not overtake those that wait.
    const late = ask(limit, 1);
    await settled();
    expect(asked.granted).toEqual([1, 2, 3]);
    for (let n = 0; n < 2; n += 1) limit.release();
    await settled();
    expect(asked.granted).toEqual([1, 2, 3, 4, 5]);
    expect(late.granted).toEqual([]);
    limit.release();
    await settled();
    expect(late.granted).toEqual([1]);
  });

  it("the concurrency limit of a destination starts more at once when it is raised, and refuses all that wait when the destination stops", async () => {
    let most = 1;
    const limit = new DestinationLimit(() => most);
    const asked = ask(limit, 5);
    most = 3;
    limit.changed();
    await settled();
    expect(asked).toEqual({ granted: [1, 2, 3], refused: [] });
    limit.cancelWaiting();
    await settled();
    expect(asked).toEqual({ granted: [1, 2, 3], refused: [4, 5] });
  });

  it("the concurrency limit of a destination refuses a request that waits too long, which then takes no place", async () => {
    const limit = new DestinationLimit(() => 1);
    ask(limit, 1);
    const impatient = ask(limit, 1, 1);
    const patient = ask(limit, 1);
    await until("the request is refused", async () => impatient.refused.length === 1);
    limit.release();
    await settled();
    expect(impatient.granted).toEqual([]);
    expect(patient.granted).toEqual([1]);
  });
});

/** Deliveries with a note, whether it is over or not. */
const NOTED = "select unnest(delivery_ids) as id from relay.under_way";

describe("attempts that are noted ahead", () => {
  it("attempts that are noted ahead are in Postgres while the requests before them are under way, which are never more than the concurrency, and each is sent once", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { concurrency: 2 }, ORIGINAL);
    const isSent = (delivery: string) =>
      receiver.received.some(({ headers }) => headers["tartan-delivery-id"] === toDeliveryId(delivery));
    let [open, most, ahead] = [0, 0, 0];
    receiver.answer = async () => {
      open += 1;
      most = Math.max(most, open);
      const { rows } = await world.database.query<{ id: string }>(NOTED);
      const unsent = rows.filter((noted) => !isSent(noted.id)).length;
      ahead = Math.max(ahead, unsent + open - 2);
      open -= 1;
      return {};
    };
    await world.relay.webhooks(...count(200));
    await world.relay.start();
    await until("all are delivered", async () => (await world.relay.statuses(id))["delivered"] === 200, 30);
    expect(ahead).toBeGreaterThan(0);
    expect(ahead).toBeLessThanOrEqual(2);
    expect(most).toBe(2);
    expect(receiver.received).toHaveLength(200);
    expect(new Set(places(receiver.received)).size).toBe(200);
  });

  it("attempts that are noted ahead and not sent when their destination is paused are made once after it resumes", async () => {
    await using world = await startWorld({ relay: {} });
    const receiver = await world.relay.receiver();
    const { id } = await world.relay.destination(receiver, { concurrency: 2 }, ORIGINAL);
    await world.relay.webhooks(...count(200));
    const relay = await world.relay.start();
    for (let times = 1; times <= 3; times += 1) {
      await until("some are sent", async () => receiver.received.length >= times * 40, 20);
      await pauseDestination(world.database, id);
      await resumeDestination(world.database, id);
    }
    await relay.idle();
    await until("all are delivered", async () => (await world.relay.statuses(id))["delivered"] === 200, 30);
    expect(new Set(places(receiver.received)).size).toBe(200);
    expect(receiver.received).toHaveLength(200);
  });
});
