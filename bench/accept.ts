/**
 * accept: genuine webhooks for distinct items, verified, journaled and queued, against the ES256 limit of one core and
 * against the usual hand-written handler; the answer's latency at half of that rate; and memory over a million.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { load, type LoadResult } from "./load.ts";
import { mib, ms, rate, tell, type Row } from "./report.ts";
import { es256PerSecond, startSigner, type Signer } from "./webhooks.ts";
import { openWorld, residentBytes, type World } from "./world.ts";

const CONNECTIONS = 64;
const ROUND = 60_000;
const WARM_UP = 5000;

export async function benchAccept({ million }: { million: boolean }): Promise<Row[]> {
  const limit = es256PerSecond();
  tell(`one core verifies ${rate(limit.perSecond)} ES256 signatures (${limit.by})`);
  await using world = await openWorld();
  await using signer = await startSigner();
  const peer = await measurePeer(world, signer);
  tell(`the hand-written handler takes ${rate(peer.perSecond)}`);

  const { id } = await world.integrate(signer.url);
  const receiver = await world.tartan(["up", "--only", "receiver"]);
  const path = `/v1/integrations/${id}`;
  await load({ url: receiver.url, requests: signer.requests(path, WARM_UP), connections: CONNECTIONS });
  const best = await bestOf(2, () =>
    load({ url: receiver.url, requests: signer.requests(path, ROUND), connections: CONNECTIONS }),
  );
  allAccepted(best, ROUND);
  tell(`Tartan takes ${rate(best.perSecond)}`);
  const half = await load({
    url: receiver.url,
    requests: signer.requests(path, Math.round(best.perSecond * 5)),
    connections: CONNECTIONS,
    perSecond: best.perSecond / 2,
  });
  const rows: Row[] = [
    {
      bench: "accept",
      what: "verified, journaled, queued; distinct items",
      figure: rate(best.perSecond),
      against: `${rate(limit.perSecond)} ES256 on one core`,
      ratio: best.perSecond / limit.perSecond,
      aim: { ratio: 0.7, better: "more" },
    },
    {
      bench: "accept",
      what: "the same",
      figure: rate(best.perSecond),
      against: `${rate(peer.perSecond)} express + jose + INSERT`,
      ratio: best.perSecond / peer.perSecond,
      aim: { ratio: 4, better: "more" },
    },
    {
      bench: "accept",
      what: "answer at half of that rate, p50 / p99",
      figure: `${ms(half.p50Ms)} / ${ms(half.p99Ms)}`,
      against: `peer at its maximum ${ms(peer.p50Ms)} / ${ms(peer.p99Ms)}`,
    },
  ];
  if (million) rows.push(await memoryOverAMillion(signer, receiver.url, receiver.pid, path));
  return rows;
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

async function measurePeer({ databaseUrl }: World, signer: Signer): Promise<LoadResult> {
  const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "peers/express.ts")], {
    env: {
      ...process.env,
      PEER_DATABASE_URL: databaseUrl,
      PEER_JWK: JSON.stringify(signer.jwk),
      NODE_ENV: "production",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    const url = `http://127.0.0.1:${said.toString().trim()}`;
    await load({ url, requests: signer.requests("/webhook", WARM_UP), connections: CONNECTIONS });
    const best = await bestOf(2, () =>
      load({ url, requests: signer.requests("/webhook", ROUND / 2), connections: CONNECTIONS }),
    );
    allAccepted(best, ROUND / 2);
    return best;
  } finally {
    child.kill("SIGKILL");
  }
}

/** In rounds, since a token must be fresh: the first tenth warms the heap up, the last must not be larger. */
async function memoryOverAMillion(signer: Signer, url: string, pid: number, path: string): Promise<Row> {
  const rounds = 20;
  const resident: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const result = await load({ url, requests: signer.requests(path, 50_000), connections: CONNECTIONS });
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
