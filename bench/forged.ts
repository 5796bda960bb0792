/**
 * forged: ten thousand webhooks a second with made-up kids, beside genuine ones that a key which Plaid has just rotated in signs. The
 * genuine ones are to be accepted about as fast as in the calm, and Plaid is to be asked for no more keys than the budget allows.
 */
import { fork } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { newSigningKey, segment, sha256, signJwt, startKeyServer, webhookBody } from "../test/support/plaid-signer.ts";
import { load, type LoadResult } from "./load.ts";
import { ms, rate, tell, type Row } from "./report.ts";
import { cpuSeconds, openWorld } from "./world.ts";

const FORGED_PER_SECOND = 10_000;
const GENUINE_PER_SECOND = 50;
const SECONDS = 15;
/** One of Plaid's addresses, and one of the network for examples. */
const PLAID = "52.21.26.131";
const STRANGER = "198.51.100.7";
const BUDGET_PER_MINUTE = 60;

function request(path: string, from: string, jwt: string, body: Buffer): Buffer {
  const head =
    `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-Forwarded-For: ${from}\r\n` +
    `Content-Length: ${body.length}\r\nPlaid-Verification: ${jwt}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** A webhook in which all holds but the kid and the signature, which are random. */
function forged(path: string): Buffer {
  const body = webhookBody({ item_id: "item-1" });
  const claims = segment({ iat: Math.floor(Date.now() / 1000), request_body_sha256: sha256(body) });
  const header = segment({ alg: "ES256", kid: randomUUID(), typ: "JWT" });
  return request(path, STRANGER, `${header}.${claims}.${randomBytes(64).toString("base64url")}`, body);
}

/** A process of its own, so that it does not slow down the clock of the genuine webhooks. */
async function flood(url: string, path: string): Promise<void> {
  const requests = Array.from({ length: FORGED_PER_SECOND * SECONDS }, () => forged(path));
  process.send?.("ready");
  await once(process, "message");
  const result = await load({ url, requests, connections: 64, perSecond: FORGED_PER_SECOND });
  process.send?.(result);
  // Until its processor time is read.
  await once(process, "message");
  process.exit();
}

const [mode, floodedUrl = "", floodedPath = ""] = process.argv.slice(2);
if (mode === "flood") await flood(floodedUrl, floodedPath);

export async function benchForged(): Promise<Row[]> {
  await using world = await openWorld();
  const [old, rotated] = [newSigningKey(), newSigningKey()];
  await using plaid = await startKeyServer(old, rotated);
  const { id } = await world.integrate(plaid.url);
  const receiver = await world.tartan(["up", "--only", "receiver"], {
    TARTAN_TRUSTED_PROXIES: "127.0.0.1",
    TARTAN_KEY_FETCHES_PER_MINUTE: String(BUDGET_PER_MINUTE),
  });
  const path = `/v1/integrations/${id}`;
  const genuine = (key: typeof old, count: number): Buffer[] =>
    Array.from({ length: count }, () => {
      const body = webhookBody({ item_id: randomBytes(18).toString("base64url") });
      return request(path, PLAID, signJwt(key, body), body);
    });
  const send = (key: typeof old, perSecond?: number, count = GENUINE_PER_SECOND * SECONDS): Promise<LoadResult> =>
    load({ url: receiver.url, requests: genuine(key, count), connections: 16, ...(perSecond && { perSecond }) });

  await send(old, undefined, 3000);
  const calm = await send(old, GENUINE_PER_SECOND);
  tell(`calm: p50 ${ms(calm.p50Ms)}, p99 ${ms(calm.p99Ms)}`);
  const child = fork(import.meta.filename, ["flood", receiver.url, path], { execArgv: ["--import", "tsx"] });
  await once(child, "message");
  const flooding = once(child, "message") as Promise<[LoadResult]>;
  const cpuOf = (): readonly number[] => [cpuSeconds(receiver.pid), cpuSeconds(child.pid ?? 0)];
  const before = cpuOf();
  child.send("go");
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const beside = await send(rotated, GENUINE_PER_SECOND, GENUINE_PER_SECOND * (SECONDS - 4));
  const [flooded] = await flooding;
  const [byReceiver = 0, byFlood = 0] = cpuOf().map((after, index) => after - (before[index] ?? 0));
  child.send("end");
  const count = Object.values(flooded.other).reduce((sum, each) => sum + each, 0);
  const refused = count / flooded.seconds;
  const each = (seconds: number): string => `${Math.round((seconds * 1e6) / count)} µs`;
  const share = byFlood / flooded.seconds;
  tell(`beside: p50 ${ms(beside.p50Ms)}, p99 ${ms(beside.p99Ms)}; ${JSON.stringify(beside.other)} not accepted`);
  tell(`forged: ${JSON.stringify(flooded)}`);
  const sent = GENUINE_PER_SECOND * (SECONDS - 4);
  // What the minute begins with, what it refills meanwhile, in four shares; and the two genuine keys.
  const budget = BUDGET_PER_MINUTE * 1.75 * (1 + flooded.seconds / 60) + 2;
  return [
    {
      bench: "forged",
      what: "forged kids refused",
      figure: rate(refused),
      against:
        `${rate(FORGED_PER_SECOND)} sent; CPU for each: receiver ${each(byReceiver)}, load generator ${each(byFlood)}` +
        (share > 0.8 ? ", which is at its limit" : ""),
      ratio: refused / FORGED_PER_SECOND,
      aim: { ratio: 0.95, better: "more" },
    },
    {
      bench: "forged",
      what: "genuine webhooks of a rotated key, accepted at the first attempt",
      figure: String(beside.ok),
      against: `${sent} sent`,
      ratio: beside.ok / sent,
      aim: { ratio: 1, better: "more" },
    },
    {
      bench: "forged",
      what: `their answers at ${GENUINE_PER_SECOND}/s, p99`,
      figure: ms(beside.p99Ms),
      against: `${ms(calm.p99Ms)} in the calm`,
      ratio: beside.p99Ms / calm.p99Ms,
      aim: { ratio: 2, better: "less" },
    },
    {
      bench: "forged",
      what: "keys asked of Plaid",
      figure: String(plaid.asked.length),
      against: `${Math.floor(budget)} by the budget`,
      ratio: plaid.asked.length / budget,
      aim: { ratio: 1, better: "less" },
    },
  ];
}
