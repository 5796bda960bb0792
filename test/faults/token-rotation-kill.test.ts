/**
 * A process that rotates an item's token is killed with kill -9 at each step: before Plaid does it, and between Plaid's answer and the
 * commit, it is recovered; while the answer is on its way, the token is lost, and the item says so.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { getItemSecret } from "../../src/integrations/items.ts";
import { cleanEnv, MAIN } from "../support/process.ts";
import { introduceItem } from "../support/link.ts";
import { until } from "../support/until.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";

type Held = "request" | "answer" | null;

let world: World<"simulator" | "processes">;
let dataDir: string;
let gate: Gate;
let integration: string;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "tartan-rotation-kill-"));
  world = await startWorld({ simulator: {}, processes: { env: { TARTAN_DATA_DIR: dataDir } } });
  gate = await openGate(world.simulator.url);
  const { clientId: client_id, secret } = world.simulator;
  const given = { client_id, secret, environment: "sandbox", plaid_url: gate.url } as const;
  integration = (await createIntegration(world.database, world.vault, given)).id;
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  gate.server.closeAllConnections();
  gate.server.close();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Gate {
  url: string;
  server: Server;
  /** what of the next rotation is never passed on */
  holds: Held;
  /** requests or answers that are held */
  held: number;
  /** passes the answers on that are held */
  release(): void;
}

/** Stands in front of the simulator. */
async function openGate(plaid: string): Promise<Gate> {
  const kept: (() => void)[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const isRotation = request.url === "/item/access_token/invalidate";
    const hold = (what: Held): boolean => {
      if (!isRotation || opened.holds !== what) return false;
      opened.held += 1;
      return true;
    };
    if (hold("request")) return;
    const headers = Object.entries(request.headers).filter(([name]) => /^(content-type|plaid-)/.test(name));
    const answer = await fetch(plaid + request.url, {
      method: "POST",
      headers: Object.fromEntries(headers) as Record<string, string>,
      body: Buffer.concat(chunks),
    });
    const text = await answer.text();
    const pass = () => response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
    if (hold("answer")) kept.push(pass);
    else pass();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const release = (): void => kept.splice(0).forEach((pass) => pass());
  const opened: Gate = { url, server, holds: null, held: 0, release };
  return opened;
}

async function linked(): Promise<Item> {
  const [item] = world.simulator.control.createItems({ count: 1, transactions: 2 }).items;
  if (!item) throw new Error("no item");
  await introduceItem(world, { integration_id: integration, ...item });
  return item;
}

/** Starts to rotate the item's token in a process of its own. */
function rotation(item: Item): ChildProcess {
  const args = [MAIN, "items", "rotate-token", item.item_id, "--yes"];
  return spawn(process.execPath, args, { env: cleanEnv(world.processes.env), stdio: "ignore" });
}

/** The same, and kills it as soon as `when`. */
async function killed(item: Item, when: () => boolean | Promise<boolean>): Promise<void> {
  const child = rotation(item);
  const gone = once(child, "exit");
  await until("the moment to kill the rotation", when);
  child.kill("SIGKILL");
  await gone;
}

const stored = async ({ item_id }: Item): Promise<string | undefined> =>
  (await getItemSecret(world.database, world.vault, integration, item_id))?.access_token;
const files = (): string[] => readdirSync(join(dataDir, "rescued-tokens"));

/** What the first sync of a server that starts now comes to. */
async function statusAfterStart({ item_id }: Item): Promise<{ status: string; code: string | null }> {
  await using server = await world.processes.start(["up", "--only", "sync"]);
  let found = { status: "pending", code: null as string | null };
  await until("the item's sync", async () => {
    const { rows } = await world.database.query<{ status: string; code: string | null }>(
      "select status, last_error ->> 'error_code' as code from sync.subjects where id = $1",
      [item_id],
    );
    found = rows[0] ?? found;
    return found.status !== "pending";
  });
  await server.stop();
  return found;
}

it("a rotation that is killed before Plaid has done it changes nothing, and another one succeeds", async () => {
  const item = await linked();
  gate.holds = "request";
  const before = gate.held;
  await killed(item, () => gate.held > before);
  gate.holds = null;
  expect(await stored(item)).toBe(item.access_token);
  const again = await world.processes.run(["items", "rotate-token", item.item_id, "--yes"]);
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("has a new access token") });
  expect(await stored(item)).not.toBe(item.access_token);
  expect(await statusAfterStart(item)).toEqual({ status: "ok", code: null });
});

it("a rotation that is killed between Plaid's answer and its commit is completed by the next server that starts", async () => {
  const item = await linked();
  await world.database.query(`
    create function tartan.wait_at_commit() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(4242); return null; end $$;
    create constraint trigger waits after delete on tartan.token_rotations deferrable initially deferred
      for each row execute function tartan.wait_at_commit();`);
  await world.database.transaction(async (tx) => {
    await tx.query("select pg_advisory_xact_lock(4242)");
    await killed(item, async () => {
      const { rows } = await world.database.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and lower(query) = 'commit' and datname = current_database()",
      );
      return rows.length === 1;
    });
    // So that its connection, which Postgres has not missed yet, does not commit after all.
    await world.database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where lower(query) = 'commit' and wait_event_type = 'Lock'",
    );
  });
  await world.database.query("drop function tartan.wait_at_commit cascade");
  expect(await stored(item)).toBe(item.access_token);
  expect(files().filter((name) => name.endsWith(".json"))).toHaveLength(1);
  expect(await statusAfterStart(item)).toEqual({ status: "ok", code: null });
  expect(await stored(item)).not.toBe(item.access_token);
  expect(files().filter((name) => name.endsWith(".json"))).toEqual([]);
});

it("a rotation that is interrupted once while Plaid's answer is on its way stores the new token all the same", async () => {
  const item = await linked();
  gate.holds = "answer";
  const before = gate.held;
  const child = rotation(item);
  const gone = once(child, "exit");
  await until("the answer", () => gate.held > before);
  gate.holds = null;
  child.kill("SIGINT");
  gate.release();
  expect(await gone).toEqual([0, null]);
  expect(await stored(item)).not.toBe(item.access_token);
});

it("a rotation that is killed while Plaid's answer is on its way loses the token, and the item says what to do", async () => {
  const item = await linked();
  gate.holds = "answer";
  const before = gate.held;
  await killed(item, () => gate.held > before);
  gate.holds = null;
  expect(await statusAfterStart(item)).toEqual({ status: "misconfigured", code: "INVALID_ACCESS_TOKEN" });
  const shown = await world.processes.run(["items", "show", item.item_id]);
  expect(shown.stdout.replaceAll(/\s+/g, " ")).toMatch(
    /Post ITEM\/UPDATED with the item's current access token.*link the account again/,
  );
});
