/**
 * A storm over the relay: receivers that fail in every way, destinations that are paused, resumed, changed and disabled,
 * relays that come and go, and at the end the oracle: every event is delivered to every destination that a route leads it to, or
 * stands in the dead letters, and what arrived is what was journaled.
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import {
  enableDestination,
  pauseDestination,
  resumeDestination,
  updateDestination,
} from "../../src/relay/destinations/destinations.ts";
import type { Relay } from "../../src/relay/relay.ts";
import type { Answer, Receiver } from "../support/receiver.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { ORIGINAL } from "../relay/support.ts";
import { until } from "../support/until.ts";

const ITEMS = 9;
const ROUNDS = 25;
const PER_ROUND = 20;

const chance = (share: number): boolean => Math.random() < share;
const oneOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

function misbehave(): Answer {
  if (chance(0.75)) return { delayMs: Math.random() * 5 };
  return oneOf<Answer>([
    { status: 500 },
    { cut: true },
    { status: 302, headers: { location: "http://127.0.0.1:1/" } },
    { status: 410 },
    { status: 200, headers: { "webhook-delivery": "disable" } },
    { status: 400, headers: { "webhook-delivery": "abort-message" } },
    { status: 200, body: "x".repeat(300_000) },
    { status: 503, headers: { "retry-after": "0" } },
  ]);
}

it("after a storm of failures and changes every delivery is accounted for, and every ordering key kept its order", async () => {
  await using world = await startWorld({ relay: {} });
  const schedule = Array.from({ length: 40 }, () => 0);
  const receivers: Receiver[] = [];
  const ids: string[] = [];
  for (const ordering of ["parallel", "per_item", "per_item"]) {
    const receiver = await world.relay.receiver();
    receivers.push(receiver);
    ids.push((await world.relay.destination(receiver, { ordering, schedule, concurrency: 5 }, ORIGINAL)).id);
  }
  let relays: Relay[] = [await world.relay.start(), await world.relay.start()];
  for (const receiver of receivers) receiver.answer = misbehave;
  const sent: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    sent.push(
      ...(await world.relay.webhooks(
        ...Array.from({ length: PER_ROUND }, () => `item-${Math.floor(Math.random() * ITEMS)}`),
      )),
    );
    await meddle(world, oneOf(ids));
    if (chance(0.25)) {
      const [leaving, ...rest] = relays;
      relays = [...rest, await world.relay.start()];
      void leaving?.[Symbol.asyncDispose]();
    }
    await delay(Math.random() * 120);
  }
  for (const receiver of receivers) receiver.answer = () => ({});
  await until(
    "every delivery is finished",
    async () => {
      for (const id of ids) {
        await resumeDestination(world.database, id);
        await enableDestination(world.database, id);
      }
      await world.database.query(
        "update relay.deliveries set due_at = now() where status = 'scheduled' and due_at > now()",
      );
      await delay(200);
      const { scheduled = 0, delivered = 0, dead = 0 } = await world.relay.statuses();
      return scheduled === 0 && delivered + dead === sent.length * ids.length;
    },
    60,
  );
  for (const [n, receiver] of receivers.entries()) await expectAccounted(world, ids[n] ?? "", receiver, sent);
  // The wait above may alone take a minute on a busy machine.
}, 120_000);

async function meddle(world: World<"relay">, id: string): Promise<void> {
  const act = oneOf([pauseDestination, resumeDestination, enableDestination, null]);
  if (act) await act(world.database, id);
  else await updateDestination(world.destinations, id, { concurrency: 1 + Math.floor(Math.random() * 8) });
}

async function expectAccounted(
  world: World<"relay">,
  id: string,
  { received }: Receiver,
  sent: readonly string[],
): Promise<void> {
  const { rows } = await world.database.query<{
    event_id: string;
    status: string;
    ordering_key: string | null;
    body: Buffer;
  }>(
    `select d.event_id, d.status, d.ordering_key, w.body from relay.deliveries d join journal.webhooks w on w.id = d.event_id
     where d.destination_id = $1`,
    [id],
  );
  expect(new Set(rows.map(({ event_id }) => event_id))).toEqual(new Set(sent));
  const hashes = new Map<string, string>();
  for (const each of received) hashes.set(each.id, createHash("sha256").update(each.body).digest("hex"));
  for (const { event_id, status, body } of rows) {
    const hash = hashes.get(`evt_${event_id.replaceAll("-", "")}`);
    if (status === "delivered") expect(hash).toBe(createHash("sha256").update(body).digest("hex"));
  }
  if (rows[0]?.ordering_key === null) return;
  for (let item = 0; item < ITEMS; item += 1) {
    const order = received
      .filter(({ body }) => body.includes(`"item-${item}"`))
      .map(({ body }) => (JSON.parse(body.toString()) as { n: number }).n);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
}
