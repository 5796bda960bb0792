/**
 * spool: the same load of genuine webhooks while Postgres takes them and while it is away, in turns (there, away, there); and how fast the
 * spool is drained when it is back.
 */
import { setTimeout as delay } from "node:timers/promises";
import { execute } from "../test/support/execute.ts";
import { load } from "./load.ts";
import { rate, tell, type Row } from "./report.ts";
import { startSigner } from "./webhooks.ts";
import { cpuSeconds, openWorld, type World } from "./world.ts";

const CONNECTIONS = 64;
const ROUND = 25_000;
const WARM_UP = 5000;

export async function benchSpool(): Promise<Row[]> {
  await using world = await openWorld();
  await using signer = await startSigner();
  const { id } = await world.integrate(signer.url);
  const receiver = await world.tartan(["up", "--only", "receiver"]);
  const path = `/v1/integrations/${id}`;
  const round = async (count: number): Promise<{ perSecond: number; cpuMicros: number }> => {
    const requests = signer.requests(path, count);
    const before = cpuSeconds(receiver.pid);
    const { ok, other, perSecond } = await load({ url: receiver.url, requests, connections: CONNECTIONS });
    if (ok !== count) throw new Error(`not every webhook was accepted: ${ok} of ${count}, ${JSON.stringify(other)}`);
    return { perSecond, cpuMicros: ((cpuSeconds(receiver.pid) - before) / count) * 1e6 };
  };
  await round(WARM_UP);
  const before = await round(ROUND);
  tell(`Postgres takes them: ${rate(before.perSecond)}, ${Math.round(before.cpuMicros)} µs of the process each`);
  await connections(world, false);
  // The first ones find out that Postgres is away.
  await round(200);
  const away = await round(ROUND);
  tell(`Postgres is away: ${rate(away.perSecond)}, ${Math.round(away.cpuMicros)} µs of the process each`);
  const drain = await drained(world, receiver.url);
  tell(`drained: ${rate(drain)}`);
  const after = await round(ROUND);
  tell(`Postgres takes them again: ${rate(after.perSecond)}`);
  const normal = (before.perSecond + after.perSecond) / 2;
  return [
    {
      bench: "spool",
      what: "accepted while Postgres is away",
      figure: rate(away.perSecond),
      against: `${rate(normal)} while it is there`,
      ratio: away.perSecond / normal,
      aim: { ratio: 0.8, better: "more" },
    },
    {
      bench: "spool",
      what: "drained when it is back",
      figure: rate(drain),
      against: `${rate(normal)} accepted while it is there`,
      ratio: drain / normal,
      aim: { ratio: 2, better: "more" },
    },
  ];
}

/** Lets sessions into the world's database, or ends those there are and lets no more in. */
async function connections({ databaseUrl }: World, allowed: boolean): Promise<void> {
  const elsewhere = new URL(databaseUrl);
  const name = elsewhere.pathname.slice(1);
  elsewhere.pathname = "/template1";
  await execute(elsewhere.href, `alter database "${name}" allow_connections ${allowed}`);
  if (!allowed)
    await execute(elsewhere.href, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
}

/** Lets Postgres back in. @returns webhooks a second, from the first that is drained to the last */
async function drained(world: World, url: string): Promise<number> {
  const waiting = async (): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return [...text.matchAll(/^tartan_spool_drained_total\{.*\} (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
  };
  await connections(world, true);
  const samples: { at: number; drained: number }[] = [];
  for (const end = Date.now() + 120_000; Date.now() < end; await delay(50)) {
    samples.push({ at: performance.now(), drained: await waiting() });
    if ((samples.at(-1)?.drained ?? 0) >= ROUND) break;
  }
  const first = samples.find((each) => each.drained > 0) ?? { at: 0, drained: 0 };
  const last = samples.at(-1) ?? first;
  return (last.drained - first.drained) / ((last.at - first.at) / 1000);
}
