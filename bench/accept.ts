/**
 * accept: genuine webhooks for distinct items, verified, journaled and queued, against the ES256 limit of one core, against the usual
 * hand-written handler, and against the most that this machine's processors could do; the answer's latency at half of that rate, and
 * beside the handler's at half of the handler's, in the database that the run has filled and in one that was just made; and memory over a
 * million.
 *
 * A rate that the handler cannot hold would compare only how long requests wait to be sent, so the two are compared at half of the lower one.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { load, type LoadResult } from "./load.ts";
import { startReceiverProcess } from "./receiver.ts";
import { mib, ms, rate, tell, type Row } from "./report.ts";
import { es256PerSecond, startSigner, type Signer } from "./webhooks.ts";
import { cpuSeconds, openWorld, postgresSeconds, residentBytes, type World } from "./world.ts";

const CONNECTIONS = 64;
const ROUND = 60_000;
const WARM_UP = 5000;
const HALF_SECONDS = 10;
/** Longer than a cluster needs to use up what it made beforehand. */
const FRESH_SECONDS = 20;
const P50_AIM_MS = 5;
const P99_AIM_MS = 20;
const P99_OF_HANDLER = 0.3;

export async function benchAccept({ million }: { million: boolean }): Promise<Row[]> {
  const limit = es256PerSecond();
  tell(`one core verifies ${rate(limit.perSecond)} ES256 signatures (${limit.by})`);
  await using world = await openWorld();
  await using signer = await startSigner();
  await using peer = await startPeer(world, signer);
  const peerBest = await bestOf(2, () => peer.take(ROUND / 2));
  allAccepted(peerBest, ROUND / 2);
  tell(`the hand-written handler takes ${rate(peerBest.perSecond)}`);

  const tartan = await startReceiver(world, signer);
  const costs = await costsOf(world, tartan.pid, signer);
  const best = await bestOf(2, () => costs.while(() => tartan.take(ROUND)));
  allAccepted(best, ROUND);
  tell(`Tartan takes ${rate(best.perSecond)}`);
  const perSecond = best.perSecond / 2;
  const half = await tartan.take(Math.round(perSecond * HALF_SECONDS), perSecond);
  const rows = [...maximumRows(best, limit, peerBest), costs.row(limit, peerBest)];
  rows.push(latencyRow("answer at half of that rate", half), tailRow("the same", half));
  const both = peerBest.perSecond / 2;
  const atBoth = ({ take }: Taker): Promise<LoadResult> => take(Math.round(both * HALF_SECONDS), both);
  rows.push(againstHandler("answer at half of the handler's rate", await atBoth(tartan), await atBoth(peer)));
  await peer[Symbol.asyncDispose]();
  rows.push(...(await onFreshCluster(signer, perSecond, both)));
  if (million) rows.push(await memoryOverAMillion(tartan));
  return rows;
}

interface Taker {
  /** sends so many webhooks, as fast as they are answered or so many a second */
  take(count: number, perSecond?: number): Promise<LoadResult>;
}

const taker = (signer: Signer, url: string, path: string): Taker => ({
  take: (count, perSecond) =>
    load({
      url,
      requests: signer.requests(path, count),
      connections: CONNECTIONS,
      ...(perSecond !== undefined && { perSecond }),
    }),
});

async function startReceiver(world: World, signer: Signer): Promise<Taker & { pid: number }> {
  const { id } = await world.integrate(signer.url);
  const { url, pid } = await world.tartan(["up", "--only", "receiver"]);
  const receiver = taker(signer, url, `/v1/integrations/${id}`);
  await receiver.take(WARM_UP);
  return { ...receiver, pid };
}

function maximumRows(best: LoadResult, limit: { perSecond: number }, peer: LoadResult): Row[] {
  const row = { bench: "accept", figure: rate(best.perSecond) };
  return [
    {
      ...row,
      what: "verified, journaled, queued; distinct items",
      against: `${rate(limit.perSecond)} ES256 on one core`,
      ratio: best.perSecond / limit.perSecond,
      aim: { ratio: 0.45, better: "more" },
    },
    {
      ...row,
      what: "the same",
      against: `${rate(peer.perSecond)} express + jose + INSERT`,
      ratio: best.perSecond / peer.perSecond,
      aim: { ratio: 4, better: "more" },
    },
  ];
}

/** The ratio is of the median to its aim. */
const latencyRow = (what: string, { p50Ms, p99Ms }: LoadResult): Row => ({
  bench: "accept",
  what: `${what}, p50 / p99`,
  figure: `${ms(p50Ms)} / ${ms(p99Ms)}`,
  against: `p50 of ${P50_AIM_MS} ms`,
  ratio: p50Ms / P50_AIM_MS,
  aim: { ratio: 1, better: "less" },
});

const tailRow = (what: string, { p99Ms }: LoadResult): Row => ({
  bench: "accept",
  what: `${what}, p99`,
  figure: ms(p99Ms),
  against: `${P99_AIM_MS} ms`,
  ratio: p99Ms / P99_AIM_MS,
  aim: { ratio: 1, better: "less" },
});

/** At a rate that both hold. */
const againstHandler = (what: string, { p50Ms, p99Ms }: LoadResult, peer: LoadResult): Row => ({
  bench: "accept",
  what: `${what}, p50 / p99`,
  figure: `${ms(p50Ms)} / ${ms(p99Ms)}`,
  against: `${ms(peer.p50Ms)} / ${ms(peer.p99Ms)} express + jose + INSERT`,
  ratio: p99Ms / peer.p99Ms,
  aim: { ratio: P99_OF_HANDLER, better: "less" },
});

interface Costs {
  /** measures what the processors spend meanwhile, of the webhooks of a load */
  while(work: () => Promise<LoadResult>): Promise<LoadResult>;
  row(limit: { perSecond: number }, peer: LoadResult): Row;
}

/**
 * What a webhook costs this machine's processors at the least, all of it measured in this run: its signature as OpenSSL checks it, its
 * request as Node's bare HTTP server answers it, and what Postgres and the sender spend while Tartan accepts. All processors busy with
 * nothing else reach the rate of the row.
 */
async function costsOf(world: World, pid: number, signer: Signer): Promise<Costs> {
  await using bare = await startReceiverProcess();
  const spent = async () => ({ receiver: cpuSeconds(pid), postgres: await postgresSeconds(world) });
  await taker(signer, bare.url, "/").take(WARM_UP);
  const before = cpuSeconds(bare.pid);
  await taker(signer, bare.url, "/").take(ROUND / 2);
  const http = ((cpuSeconds(bare.pid) - before) / (ROUND / 2)) * 1e6;
  const micros = { receiver: 0, postgres: 0, sender: 0 };
  return {
    while: async (work) => {
      const begun = await spent();
      const result = await work();
      const ended = await spent();
      const each = (seconds: number): number => (seconds / result.ok) * 1e6;
      micros.receiver = each(ended.receiver - begun.receiver);
      micros.postgres = each(ended.postgres - begun.postgres);
      micros.sender = each(result.cpuSeconds);
      tell(
        `a webhook costs the receiver ${Math.round(micros.receiver)}, Postgres ${Math.round(micros.postgres)} and the sender ${Math.round(micros.sender)} µs`,
      );
      return result;
    },
    row: (limit, peer) => {
      const signature = 1e6 / limit.perSecond;
      const most = (availableParallelism() * 1e6) / (signature + http + micros.postgres + micros.sender);
      const parts = `${Math.round(signature)} + ${Math.round(http)} + ${Math.round(micros.postgres)} + ${Math.round(micros.sender)} µs`;
      return {
        bench: "accept",
        what: `most that ${availableParallelism()} processors could verify, answer by bare node:http, commit and send (${parts})`,
        figure: rate(most),
        against: `${rate(peer.perSecond)} express + jose + INSERT`,
        ratio: most / peer.perSecond,
      };
    },
  };
}

/** A cluster that was just made has written none of its log's segments before, nor has the handler's. */
async function onFreshCluster(signer: Signer, perSecond: number, both: number): Promise<Row[]> {
  const count = (rateOf: number): number => Math.round(rateOf * FRESH_SECONDS);
  const tartanAt = (rateOf: number): Promise<LoadResult> =>
    measureFresh(async (world) => (await startReceiver(world, signer)).take(count(rateOf), rateOf));
  const half = await tartanAt(perSecond);
  allAccepted(half, count(perSecond));
  const handler = await measureFresh(async (world) => {
    await using peer = await startPeer(world, signer);
    return await peer.take(count(both), both);
  });
  return [
    latencyRow("answer at half of Tartan's rate on a cluster just made", half),
    tailRow("the same", half),
    againstHandler("answer at half of the handler's rate on a cluster just made", await tartanAt(both), handler),
  ];
}

async function measureFresh(measure: (world: World) => Promise<LoadResult>): Promise<LoadResult> {
  await using world = await openWorld();
  return await measure(world);
}

async function bestOf(times: number, run: () => Promise<LoadResult>): Promise<LoadResult> {
  let best = await run();
  for (let time = 1; time < times; time++) {
    const again = await run();
    if (again.perSecond > best.perSecond) best = again;
  }
  return best;
}

function allAccepted({ ok, other }: LoadResult, count: number): void {
  if (ok !== count) throw new Error(`not every webhook was accepted: ${ok} of ${count}, ${JSON.stringify(other)}`);
}

async function startPeer({ databaseUrl }: World, signer: Signer): Promise<Taker & AsyncDisposable> {
  const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "peers/express.ts")], {
    env: {
      ...process.env,
      PEER_DATABASE_URL: databaseUrl,
      PEER_JWK: JSON.stringify(signer.jwk),
      NODE_ENV: "production",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  const peer = taker(signer, `http://127.0.0.1:${said.toString().trim()}`, "/webhook");
  await peer.take(WARM_UP);
  return { ...peer, [Symbol.asyncDispose]: async () => void child.kill("SIGKILL") };
}

/** In rounds, since a token must be fresh: the first tenth warms the heap up, the last must not be larger. */
async function memoryOverAMillion({ take, pid }: Taker & { pid: number }): Promise<Row> {
  const rounds = 20;
  const resident: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const result = await take(50_000);
    allAccepted(result, 50_000);
    resident.push(residentBytes(pid));
    tell(`${round * 50_000} webhooks: ${mib(resident.at(-1) ?? 0)} resident`);
  }
  const early = Math.max(...resident.slice(1, 4));
  const late = Math.max(...resident.slice(-3));
  return {
    bench: "accept",
    what: "memory after a million webhooks",
    figure: mib(late),
    against: `${mib(early)} after 200,000`,
    ratio: late / early,
    aim: { ratio: 1.1, better: "less" },
  };
}
