/** An access token is replaced at Plaid: nobody sees the new one, and no failure between Plaid's answer and the commit loses it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { TartanError } from "../../src/errors.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { getItemSecret } from "../../src/integrations/items.ts";
import { startTakingIn } from "../../src/integrations/rescue-files.ts";
import { takeInTokens } from "../../src/integrations/rescued-tokens.ts";
import { rotateToken, type TokenRotationDeps } from "../../src/integrations/token-rotation.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { PlaidError } from "../../src/plaid/errors.ts";
import { eraseItem } from "../../src/lifecycle/items.ts";
import { getItem } from "../../src/sync/items.ts";
import { introduceItem } from "../support/link.ts";
import { until } from "../support/until.ts";
import { openEventReader, typesOf } from "../sync/event-reader.ts";
import { gated } from "../sync/support.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";

let world: World<"sync" | "api">;
let dataDir: string;
let directory: TokenRotationDeps["directory"];
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "tartan-rotation-"));
  world = await startWorld({ sync: {}, api: { dataDir } });
  const { database, vault } = world;
  directory = world.use(await openDirectory({ database, vault, logger: silentLogger, clock: systemClock }));
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  rmSync(dataDir, { recursive: true, force: true });
});

let item: Item;
beforeEach(async () => {
  item = await world.sync.synced(2);
});

const files = (): string[] => readdirSync(join(dataDir, "rescued-tokens"));
const firstFile = (): string => join(dataDir, "rescued-tokens", files()[0] ?? "");
const stored = async (): Promise<string | undefined> =>
  (await getItemSecret(world.database, world.vault, world.integration.id, item.item_id))?.access_token;
const rotations = async (): Promise<number> =>
  (await world.database.query("select from tartan.token_rotations where item_id = $1", [item.item_id])).rowCount;
const answers = async (token: string | undefined): Promise<string> => {
  const { url, clientId: client_id, secret } = world.simulator;
  const response = await fetch(`${url}/item/get`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id, secret, access_token: token }),
  });
  const { error_code = "ok" } = (await response.json()) as { error_code?: string };
  return error_code;
};

type Ask = (path: string, post: () => Promise<unknown>) => Promise<unknown>;

/** Deps with a client that `ask` stands in front of. */
const depsWith = (ask: Ask, more: Partial<TokenRotationDeps> = {}): TokenRotationDeps => ({
  database: world.database,
  vault: world.vault,
  directory,
  clock: systemClock,
  logger: silentLogger,
  dataDir,
  clientFor: ({ plaidUrl: baseUrl, clientId, secret }) => {
    const client = createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock });
    return {
      postJson: async <T>(path: string, body: object) => (await ask(path, () => client.postJson<T>(path, body))) as T,
    };
  },
  ...more,
});
const rotate = (ask: Ask, more?: Partial<TokenRotationDeps>) =>
  rotateToken(depsWith(ask, more), { integrationId: world.integration.id, itemId: item.item_id });
const ofRotation = (path: string): boolean => path === "/item/access_token/invalidate";
const noAnswer = (): PlaidError => new PlaidError({ errorType: "NETWORK", errorCode: "TIMEOUT", httpStatus: null });

describe("a rotation by the API", () => {
  it("a rotated token works and is shown nowhere, the old one is refused, and the audit log says who rotated it", async () => {
    const answer = await world.api.call(`POST /v1/items/${item.item_id}/rotate-token`, { body: { reason: "leaked" } });
    expect(answer.status).toBe(200);
    const token = (await stored()) ?? "";
    expect(token).not.toBe(item.access_token);
    expect(await answers(token)).toBe("ok");
    expect(await answers(item.access_token)).toBe("INVALID_ACCESS_TOKEN");
    expect(answer.body).toEqual({
      item_id: item.item_id,
      integration_id: world.integration.id,
      rotated_at: expect.any(String),
    });
    for (const text of [...world.api.logged, answer.text]) expect(text).not.toContain(token);
    const audit = await world.api.call(`GET /v1/audit?target=${item.item_id}`);
    expect(audit.body.data).toMatchObject([{ action: "item.token_rotated", reason: "leaked", details: {} }]);
    expect(await rotations()).toBe(0);
    expect(files()).toEqual([]);
    const { notifyAndWork } = openEventReader(world);
    expect(typesOf(await notifyAndWork(item, "SYNC_UPDATES_AVAILABLE", "TRANSACTIONS"))).toEqual(["sync.completed"]);
  });

  it("an item that does not exist cannot be rotated, and one that is unlinked is a conflict", async () => {
    expect((await world.api.call("POST /v1/items/none/rotate-token")).status).toBe(404);
    await world.api.call(`DELETE /v1/items/${item.item_id}`);
    const answer = await world.api.call(`POST /v1/items/${item.item_id}/rotate-token`);
    expect(answer).toMatchObject({ status: 409, body: { error: { code: "conflict" } } });
  });

  it("ITEM/CREATED that is repeated with the token of before a rotation does not replace the new one", async () => {
    await world.api.call(`POST /v1/items/${item.item_id}/rotate-token`);
    const token = await stored();
    await introduceItem(world, { integration_id: world.integration.id, ...item, user_id: "named later" });
    expect(await stored()).toBe(token);
    expect(await getItem(world.database, item.item_id)).toMatchObject({ user_id: "named later", status: "ok" });
  });
});

describe("a rotation that Plaid does not answer well", () => {
  it("Plaid's refusal changes nothing", async () => {
    const refusal = new PlaidError({ errorType: "ITEM_ERROR", errorCode: "ITEM_NOT_FOUND", httpStatus: 400 });
    await expect(rotate(() => Promise.reject(refusal))).rejects.toBe(refusal);
    expect(await stored()).toBe(item.access_token);
    expect([await rotations(), files()]).toEqual([0, []]);
  });

  it("where Plaid does not answer and the old token still works, nothing has changed, and the error says so", async () => {
    const silent: Ask = (path, post) => (ofRotation(path) ? Promise.reject(noAnswer()) : post());
    await expect(rotate(silent)).rejects.toMatchObject({
      code: "plaid_unreachable",
      message: expect.stringContaining("nothing has changed"),
    });
    expect([await rotations(), files()]).toEqual([0, []]);
    expect(await answers(await stored())).toBe("ok");
  });

  it("where Plaid ended the old token and its answer was lost, the error is token_lost, and the item's next step tells what to do", async () => {
    const lossy: Ask = async (path, post) => {
      const answer = await post();
      if (ofRotation(path)) throw noAnswer();
      return answer;
    };
    await expect(rotate(lossy)).rejects.toMatchObject({ code: "token_lost" });
    const { notifyAndWork } = openEventReader(world);
    const events = await notifyAndWork(item, "SYNC_UPDATES_AVAILABLE", "TRANSACTIONS");
    expect(typesOf(events)).toEqual(["sync.failed"]);
    const shown = await getItem(world.database, item.item_id);
    expect(shown).toMatchObject({ status: "misconfigured", error_code: "INVALID_ACCESS_TOKEN" });
    expect(shown?.next_step).toMatch(/ITEM\/UPDATED .*link the account again/);
  });
});

describe("a rotation whose commit fails", () => {
  it("where the connection to Postgres is cut after Plaid's answer, the new token is stored over another one", async () => {
    const cut: Ask = async (path, post) => {
      const answer = await post();
      if (ofRotation(path)) {
        const { rowCount } = await world.database.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where state = 'idle in transaction' and datname = current_database()`,
        );
        expect(rowCount).toBeGreaterThan(0);
      }
      return answer;
    };
    await rotate(cut);
    expect(await stored()).not.toBe(item.access_token);
    expect(await answers(await stored())).toBe("ok");
    expect([await rotations(), files()]).toEqual([0, []]);
  });

  type Transact = Database["transaction"];
  const without = (transaction: Transact): Database => ({
    query: (...args) => world.database.query(...args),
    listen: (...args) => world.database.listen(...args),
    transaction,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  const rolledBack: Transact = (work, kind) =>
    world.database.transaction(async (tx) => {
      await work(tx);
      throw new TartanError("database_unavailable", "Postgres is away.");
    }, kind);
  const codeOf = (error: unknown): unknown => (error as Partial<PlaidError>).errorCode;

  const pass: Ask = (_, post) => post();
  const takeIn = () => takeInTokens(depsWith(pass), dataDir);
  const worksAlone = async (): Promise<void> => {
    expect(await stored()).not.toBe(item.access_token);
    expect(await answers(await stored())).toBe("ok");
    expect(files()).toEqual([]);
  };

  /** Rotates while no commit succeeds from Plaid's answer on. */
  async function rotateInVain(ask: Ask = (_, post) => post()): Promise<unknown> {
    const database = without(rolledBack);
    let hours = 0;
    const clock = { ...systemClock, now: () => Date.now() + (hours += 1) * 3_600_000 };
    return await rotate(ask, { database, clock }).catch((error: unknown) => error);
  }

  it("a token that Postgres does not store is sealed in a file of its owner's, which is taken in once", async () => {
    const error = (await rotateInVain()) as TartanError;
    expect(files()).toHaveLength(1);
    const file = firstFile();
    expect(error).toMatchObject({ code: "database_unavailable", message: expect.stringContaining(file) });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const content = readFileSync(file, "utf8");
    expect(await stored()).toBe(item.access_token);
    expect(await answers(item.access_token)).toBe("INVALID_ACCESS_TOKEN");
    expect(await takeIn()).toEqual([item.item_id]);
    const token = (await stored()) ?? "";
    expect(await answers(token)).toBe("ok");
    expect(content).not.toContain(token);
    expect([await rotations(), files()]).toEqual([0, []]);
    // As if the process had died before it deleted the file.
    writeFileSync(file, content);
    await rotate((_, post) => post());
    const latest = await stored();
    expect(await takeIn()).toEqual([]);
    expect([await stored(), files()]).toEqual([latest, []]);
  });

  it("a token that your backend stores meanwhile is kept, and the one in the file is not taken in", async () => {
    await rotateInVain();
    await introduceItem(world, { integration_id: world.integration.id, item_id: item.item_id, access_token: "newer" });
    expect(await takeIn()).toEqual([]);
    expect([await stored(), files()]).toEqual(["newer", []]);
  });

  it("a rotation that is repeated takes in the token of one that could not store it, and with another data directory leaves it be", async () => {
    await rotateInVain();
    expect(await rotate((_, post) => post(), { dataDir: "/dev/null" }).catch(codeOf)).toBe("INVALID_ACCESS_TOKEN");
    await rotate((_, post) => post());
    await worksAlone();
  });

  it("a rotation that another one overtakes while its commit is repeated stores its token all the same", async () => {
    let attempts = 0;
    const database = without(async (work, kind) => {
      attempts += 1;
      if (attempts > 1) return await world.database.transaction(work, kind);
      await rolledBack(work, kind).catch(() => undefined);
      expect(await rotate((_, post) => post(), { dataDir: "/dev/null" }).catch(codeOf)).toBe("INVALID_ACCESS_TOKEN");
      throw new TartanError("database_unavailable", "Postgres was away.");
    });
    await rotate((_, post) => post(), { database });
    await worksAlone();
  });

  it("the file has its space before Plaid is asked, and a token in it counts before the file has its last name", async () => {
    const sizes: number[] = [];
    const error = (await rotateInVain((_, post) => {
      sizes.push(statSync(firstFile()).size);
      return post();
    })) as TartanError;
    expect(error.code).toBe("database_unavailable");
    expect(sizes).toEqual([4096]);
    const file = firstFile();
    writeFileSync(file.replace(/json$/, "new"), readFileSync(file));
    rmSync(file);
    // What a process that was killed earlier leaves holds nothing, and is deleted once it is old.
    const empty = join(dataDir, "rescued-tokens", "empty.new");
    writeFileSync(empty, " ".repeat(4096));
    expect(await takeIn()).toEqual([item.item_id]);
    expect(files()).toEqual(["empty.new"]);
    utimesSync(empty, 0, 0);
    expect(await takeIn()).toEqual([]);
    await worksAlone();
  });

  it("a server that runs already takes in a file", async () => {
    await rotateInVain();
    await using _server = await startTakingIn(depsWith(pass), async () => void (await takeIn()));
    await until("the file to be taken in", () => files().length === 0);
    await worksAlone();
  });

  it("a file of an item that the database never had stays for a week, since it may be another database's; that of an erased item goes", async () => {
    await rotateInVain();
    const file = firstFile();
    const content = readFileSync(file, "utf8");
    await takeIn();
    writeFileSync(file, content.replace(item.item_id, "item-of-another-database"));
    expect(await takeIn()).toEqual([]);
    expect(files()).toHaveLength(1);
    utimesSync(file, 0, 0);
    expect(await takeIn()).toEqual([]);
    await worksAlone();
    await eraseItem(world.database, world.integration.id, item.item_id);
    writeFileSync(file, content);
    expect(await takeIn()).toEqual([]);
    expect(files()).toEqual([]);
  });

  it("a file that cannot be read stays, and a rotation works where the data directory cannot be written", async () => {
    const file = join(dataDir, "rescued-tokens", "0192f3a8-7d51-70d2-9b6c-4e8f1a2b3c4d.json");
    writeFileSync(file, "{");
    expect(await takeIn()).toEqual([]);
    expect(files()).toHaveLength(1);
    await rotate((_, post) => post(), { dataDir: file });
    rmSync(file);
    expect(await answers(await stored())).toBe("ok");
  });
});

it("a run that reads with the old token while it is rotated is no failure: the next run has the new one", async () => {
  const { eventsOf } = openEventReader(world);
  const before = (await eventsOf(item.item_id)).length;
  let isRotated = false;
  const clientFor = gated(async (path, _, pass) => {
    if (path === "/item/get" && !isRotated) {
      isRotated = true;
      await rotate((__, post) => post());
    }
    await pass();
  });
  await world.sync.notify(item.item_id, "LOGIN_REPAIRED", "ITEM");
  await using worker = await world.sync.start({ clientFor });
  await worker.idle();
  expect(typesOf(await eventsOf(item.item_id, before))).toEqual(["sync.completed"]);
  expect(await world.sync.subject(item.item_id)).toMatchObject({ status: "ok", last_error: null, attempts: 0 });
});
