/** A Postgres of its own that can be stopped and frozen, real Tartan processes on it, and senders of webhooks that nobody may lose. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Closer } from "../../src/cli/wiring/closer.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { migrate } from "../../src/database/migrate.ts";
import type { Database } from "../../src/database/types.ts";
import { startEmbedded, type Embedded } from "../../src/embedded/embedded.ts";
import { findPostmaster, stopPostmaster } from "../../src/embedded/postmaster.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { silentLogger } from "../../src/logger.ts";
import { newSigningKey, signJwt, startKeyServer, webhookBody } from "../support/plaid-signer.ts";
import { freePort } from "../support/ports.ts";
import type { TartanProcess } from "../support/process.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";

/** The line with which a receiver says that its door is open. */
export function openLine(line: string): string | null {
  if (!line.startsWith("{")) return null;
  const said = JSON.parse(line) as { msg?: string; url?: string };
  return /^(webhooks are accepted|tartan is up)/.test(said.msg ?? "") ? (said.url ?? null) : null;
}

export interface Stoppable {
  url: string;
  dataDir: string;
  /** the process id of the server that is ready; null while none is */
  postmaster(): Promise<number | null>;
  /** stops it in order; connections are ended, and new ones refused */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** stops all its processes where they are: connections are accepted by the kernel, and nothing answers */
  freeze(): void;
  thaw(): void;
}

export async function startStoppable(closer: Closer): Promise<Stoppable> {
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-outage-"));
  closer.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const open = (): Promise<Embedded> => startEmbedded({ dataDir, logger: silentLogger });
  let running: Embedded | null = await open();
  const { url } = running;
  let frozen: number[] = [];
  const thaw = (): void => {
    for (const pid of frozen.splice(0).toReversed()) process.kill(pid, "SIGCONT");
  };
  const cluster = join(dataDir, "postgres/data");
  closer.defer(async () => {
    thaw();
    await running?.[Symbol.asyncDispose]();
    // That of a Tartan that was killed.
    await stopPostmaster(cluster);
  });
  return {
    url,
    dataDir,
    postmaster: async () => {
      const found = await findPostmaster(cluster);
      return found?.status === "ready" ? found.pid : null;
    },
    stop: async () => {
      await running?.[Symbol.asyncDispose]();
      running = null;
    },
    start: async () => {
      running = await open();
    },
    freeze: () => {
      const postmaster = parseInt(readFileSync(join(dataDir, "postgres/data/postmaster.pid"), "utf8"), 10);
      // The postmaster first, so that it starts no more.
      process.kill(postmaster, "SIGSTOP");
      frozen = [postmaster, ...childrenOf(postmaster)];
      for (const pid of frozen.slice(1)) process.kill(pid, "SIGSTOP");
    },
    thaw,
  };
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
    } catch {
      return false;
    }
  });
}

export interface OutageWorld {
  world: World<"integration" | "processes">;
  postgres: Stoppable;
  database: Database;
  /** a process with every role, always on the same port and data directory; resolves when its door is open */
  start(env?: Record<string, string>): Promise<TartanProcess>;
  url: string;
  senders: Senders;
}

/** @param embedded each process runs the Postgres itself, as its embedded one */
export async function openOutage(closer: Closer, { embedded = false } = {}): Promise<OutageWorld> {
  const postgres = await startStoppable(closer);
  const { url } = postgres;
  const database = closer.use(await openDatabase({ url, poolSize: 2, applicationName: "test", logger: silentLogger }));
  await migrate(database, { logger: silentLogger });
  const env: Record<string, string> = embedded ? { TARTAN_DATABASE_URL: "", TARTAN_DATA_DIR: postgres.dataDir } : {};
  const given = { database: { given: { database, url } }, simulator: { seed: "outage" } };
  const world = closer.use(await startWorld({ ...given, integration: {}, processes: { env } }));
  const port = String(await freePort());
  const start = (more = {}) => world.processes.start(["up"], { TARTAN_PORT: port, ...more }, openLine);
  const receiver = `http://127.0.0.1:${port}`;
  const senders = closer.use(await openSenders(world, receiver));
  if (embedded) await postgres.stop();
  return { world, postgres, database, start, url: receiver, senders };
}

export interface Sent {
  item: string;
  number: number;
  jwt: string;
}

export interface Senders extends AsyncDisposable {
  /** in the order of the answers */
  acknowledged: Sent[];
  /** answers that were neither 200 nor an honest 503 */
  wrong: string[];
  /** honest 503s */
  refused: number;
  /** Resolves when `count` more webhooks are acknowledged. */
  more(count: number): Promise<void>;
  stop(): Promise<void>;
}

const ITEMS = 6;
/** Far more than a loaded machine needs for a start. */
const PATIENCE_MS = 120_000;

/**
 * Senders that post as Plaid does, one webhook of an item after the other: the next one comes when this one is acknowledged, and one
 * that was not is sent again with the same JWT.
 */
async function openSenders(world: World<"integration" | "processes">, receiver: string): Promise<Senders> {
  const key = newSigningKey();
  const server = world.use(await startKeyServer(key));
  const made = {
    client_id: "client-1",
    secret: "plaid-secret",
    environment: "sandbox" as const,
    plaid_url: server.url,
  };
  const { id } = await createIntegration(world.database, world.vault, made);
  const over = new AbortController();
  const state = { acknowledged: [] as Sent[], wrong: [] as string[], refused: 0 };
  const post = async (sent: Sent, body: Buffer): Promise<boolean> => {
    const signal = AbortSignal.timeout(10_000);
    const headers = { "plaid-verification": sent.jwt, "content-type": "application/json" };
    const answer = await fetch(`${receiver}/v1/integrations/${id}`, { method: "POST", headers, body, signal }).catch(
      () => null,
    );
    // The process was killed, or is starting.
    if (answer === null) return false;
    const text = await answer.text().catch(() => "");
    if (answer.status === 503 && Number(answer.headers.get("retry-after")) > 0) state.refused += 1;
    else if (answer.status !== 200) state.wrong.push(`${answer.status} ${text}`);
    return answer.status === 200 && text !== "";
  };
  const send = async (item: string): Promise<void> => {
    for (let number = 1; !over.signal.aborted; number += 1) {
      const body = webhookBody({ item_id: item, number });
      const sent = { item, number, jwt: signJwt(key, body) };
      while (!over.signal.aborted && !(await post(sent, body))) await delay(50);
      if (!over.signal.aborted) state.acknowledged.push(sent);
      await delay(10);
    }
  };
  let sending: Promise<void[]> | undefined;
  const begin = () =>
    (sending ??= Promise.all(Array.from({ length: ITEMS }, (_, index) => send(`sent-item-${index}`))));
  const stop = async (): Promise<void> => {
    over.abort();
    await sending;
  };
  return Object.assign(state, {
    more: async (count: number) => {
      void begin();
      const enough = state.acknowledged.length + count;
      for (const end = Date.now() + PATIENCE_MS; state.acknowledged.length < enough; await delay(20))
        if (Date.now() > end) throw new Error(`only ${state.acknowledged.length} of ${enough} were acknowledged`);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  });
}

/** What is wrong with the journal: acknowledged webhooks that are not there once, and items whose webhooks are out of order. */
export async function faultsOfJournal(database: Database, { acknowledged }: Senders): Promise<string[]> {
  const { rows } = await database.query<{ item_id: string; number: number; verification: string }>(
    `select item_id, (convert_from(body, 'UTF8')::jsonb ->> 'number')::int as number, verification
     from journal.webhooks where item_id like 'sent-item-%' order by id`,
  );
  const times = new Map<string, number>();
  const last = new Map<string, number>();
  const faults: string[] = [];
  for (const { item_id, number, verification } of rows) {
    times.set(verification, (times.get(verification) ?? 0) + 1);
    if (number <= (last.get(item_id) ?? 0)) faults.push(`${item_id}: ${number} came after ${last.get(item_id)}`);
    last.set(item_id, number);
  }
  for (const { item, number, jwt } of acknowledged)
    if (times.get(jwt) !== 1) faults.push(`${item}: ${number} is there ${times.get(jwt) ?? 0} times`);
  for (const [jwt, count] of times) if (count !== 1) faults.push(`a JWT is there ${count} times: ${jwt.slice(-8)}`);
  return faults;
}

/** What /readyz answers; 0 where nothing listens. */
export const readyz = async ({ url }: OutageWorld) => {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
  const body =
    answer === null
      ? null
      : ((await answer.json()) as { degraded: string[]; spool: { waiting: number; state: string } });
  return { status: answer?.status ?? 0, body };
};

export const isKept = (outage: OutageWorld) =>
  until("the caches on disk", async () => {
    const files = await readdir(`${outage.world.processes.env["TARTAN_DATA_DIR"]}/cache`).catch(() => [] as string[]);
    return files.includes("integrations.sealed") && files.includes("verification-keys.sealed");
  });

export const isDrained = (outage: OutageWorld) =>
  until("the spool empty", async () => (await readyz(outage)).body?.spool.state === "straight", 90);
