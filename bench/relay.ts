/**
 * relay: from an event's commit to the receiver's 2xx at 200 events a second, alone and beside a destination that never
 * answers; deliveries a second at saturation, against bare signed POSTs with the same client; and a hold of a hundred
 * thousand drained.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { append } from "../src/journal/append.ts";
import { newUuid } from "../src/model/ids.ts";
import type { NewWebhook } from "../src/model/webhook.ts";
import { createDestination, pauseDestination, resumeDestination } from "../src/relay/destinations/destinations.ts";
import { createRoute } from "../src/relay/routing/routes.ts";
import { webhookBody } from "../test/support/plaid-signer.ts";
import { barePosts } from "./peers/undici.ts";
import { startReceiverProcess, type ReceiverProcess } from "./receiver.ts";
import { mib, ms, rate, tell, type Row } from "./report.ts";
import { openWorld, residentBytes, type World } from "./world.ts";

const PER_SECOND = 200;
const DELIVERIES = 20_000;
const HELD = 100_000;
const ENV = {
  TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1",
  TARTAN_RELAY_ALLOW_HTTP: "true",
};

/** @param only `latency`, `saturation` or `hold`; all of them when absent */
export async function benchRelay({ minutes, only }: { minutes: number; only?: string }): Promise<Row[]> {
  const parts = { latency: () => latency(minutes), saturation, hold };
  const rows: Row[] = [];
  for (const [name, part] of Object.entries(parts)) {
    if (only === undefined || only === name) rows.push(...(await part()));
  }
  return rows;
}

/* What both ends of a delivery need. */

async function destinationOf(
  { database, vault }: World,
  url: string,
  columns: Record<string, unknown> = {},
): Promise<string> {
  const urls = { allowHttp: true, checkUrl: () => undefined };
  const { id } = await createDestination({ database, vault, urls }, { url, ...columns });
  await createRoute(database, { destination_id: id, form: "original" });
  return id;
}

function webhooks(count: number): NewWebhook[] {
  return Array.from({ length: count }, () => {
    const receivedAt = new Date();
    const itemId = `item-${Math.floor(Math.random() * 10_000)}`;
    return {
      id: newUuid(receivedAt),
      integrationId: "svi_bench",
      source: "PLAID" as const,
      subject: null,
      itemId,
      webhookType: "TRANSACTIONS",
      webhookCode: "SYNC_UPDATES_AVAILABLE",
      environment: "sandbox",
      receivedAt,
      body: webhookBody({ item_id: itemId }),
      proof: null,
    };
  });
}

async function journal({ database }: World, count: number): Promise<void> {
  for (let done = 0; done < count; done += 500) await append(database, webhooks(Math.min(500, count - done)));
}

async function until(what: string, met: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 60_000; turn += 1) {
    if (await met()) return;
    await delay(10);
  }
  throw new Error(`${what} did not happen within ten minutes`);
}

/* Commit to 2xx. */

interface Latencies {
  p50: number;
  p95: number;
  p99: number;
  count: number;
}

async function latency(minutes: number): Promise<Row[]> {
  const seconds = Math.max(15, Math.round(minutes * 60));
  const alone = await measureLatency(seconds, false);
  const beside = await measureLatency(seconds, true);
  const shown = ({ p50, p95, p99 }: Latencies) => `${ms(p50)} / ${ms(p95)} / ${ms(p99)}`;
  return [
    {
      bench: "relay",
      what: `event committed → 2xx at ${PER_SECOND}/s for ${seconds} s, p50 / p95 / p99`,
      figure: shown(alone),
      against: "p95 of 60 ms",
      ratio: alone.p95 / 60,
      aim: { ratio: 1, better: "less" },
    },
    {
      bench: "relay",
      what: "the same beside a destination that never answers",
      figure: shown(beside),
      against: `${ms(alone.p95)} (p95 alone)`,
      ratio: beside.p95 / alone.p95,
      aim: { ratio: 1.25, better: "less" },
    },
  ];
}

/** The receiver is in this process, so that one clock times both the commit and the answer. */
async function measureLatency(seconds: number, withDead: boolean): Promise<Latencies> {
  await using world = await openWorld();
  await using dead = await startReceiverProcess();
  const committed = new Map<string, number>();
  const took: number[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const id = String(request.headers["webhook-id"]);
    request.resume().on("end", () => {
      response.writeHead(200, { "content-length": "2" }).end("ok", () => {
        const at = committed.get(id);
        // The bench learns of a commit after Postgres has made it; a faster delivery took no time.
        took.push(at === undefined ? 0 : performance.now() - at);
        committed.delete(id);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await destinationOf(world, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  if (withDead) await destinationOf(world, `${dead.url}/dead`, { timeout_ms: 15_000 });
  await world.tartan(["up", "--only", "relay"], ENV);
  tell(`${PER_SECOND} events a second for ${seconds} s${withDead ? ", beside a dead destination" : ""}`);
  const began = performance.now();
  const total = PER_SECOND * seconds;
  const commits: Promise<unknown>[] = [];
  for (let sent = 0; sent < total; sent += 1) {
    const wait = began + (sent * 1000) / PER_SECOND - performance.now();
    if (wait > 1) await delay(wait);
    const [webhook] = webhooks(1);
    if (!webhook) continue;
    const id = `evt_${webhook.id.replaceAll("-", "")}`;
    commits.push(append(world.database, [webhook]).then(() => committed.set(id, performance.now())));
    if (commits.length === 1000) await Promise.all(commits.splice(0, 500));
  }
  await Promise.all(commits);
  await until("the last delivery", async () => took.length >= total);
  server.closeAllConnections();
  server.close();
  const sorted = Float64Array.from(took).toSorted();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), count: took.length };
}

/* Saturation. */

async function saturation(): Promise<Row[]> {
  await using receiver = await startReceiverProcess();
  tell(`${DELIVERIES} bare signed POSTs`);
  const bare = await barePosts(receiver.url, DELIVERIES);
  await receiver.reset();
  const rows: Row[] = [];
  for (const destinations of [1, 10, 100]) {
    const perSecond = await deliver(receiver, destinations);
    rows.push({
      bench: "relay",
      what: `deliveries at saturation, ${destinations} destination${destinations === 1 ? "" : "s"}`,
      figure: rate(perSecond),
      against: `${rate(bare)} bare signed undici POSTs`,
      ratio: perSecond / bare,
      ...(destinations === 1 && { aim: { ratio: 0.15, better: "more" as const } }),
    });
  }
  return rows;
}

/** From the first answer to the last, dispatch included: all events are there before the relay starts. */
async function deliver(receiver: ReceiverProcess, destinations: number): Promise<number> {
  await using world = await openWorld();
  for (let n = 0; n < destinations; n += 1) await destinationOf(world, `${receiver.url}/${n}`, { concurrency: 16 });
  await journal(world, DELIVERIES / destinations);
  await receiver.reset();
  tell(`${DELIVERIES} deliveries to ${destinations} destination${destinations === 1 ? "" : "s"}`);
  await world.tartan(["up", "--only", "relay"], ENV);
  await until("the last delivery", async () => (await receiver.counts()).count >= DELIVERIES);
  const { firstAt, lastAt, count } = await receiver.counts();
  return (count * 1000) / (lastAt - firstAt);
}

/* A hold. */

async function hold(): Promise<Row[]> {
  await using world = await openWorld();
  await using receiver = await startReceiverProcess();
  const id = await destinationOf(world, receiver.url, { concurrency: 16 });
  await pauseDestination(world.database, id);
  const tartan = await world.tartan(["up", "--only", "relay"], ENV);
  tell(`${HELD} deliveries are held, then drained`);
  await journal(world, HELD);
  await until("the dispatch", async () => {
    const { rows } = await world.database.query<{ n: number }>(
      "select count(*)::int as n from events.outbox where position is null",
    );
    return rows[0]?.n === 0;
  });
  const before = residentBytes(tartan.pid);
  await resumeDestination(world.database, id);
  let most = before;
  await until("the last delivery", async () => {
    most = Math.max(most, residentBytes(tartan.pid));
    return (await receiver.counts()).count >= HELD;
  });
  const { firstAt, lastAt, count } = await receiver.counts();
  return [
    {
      bench: "relay",
      what: `a hold of ${HELD.toLocaleString("en")} deliveries drained`,
      figure: rate((count * 1000) / (lastAt - firstAt)),
      against: `memory ${mib(before)} before, at most ${mib(most)}`,
    },
  ];
}
