/** Commands in another terminal, in an environment that knows nothing of the running server's options. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { runTartan } from "../support/process.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"integration" | "processes">;

beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "second-terminal" }, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await world.processes.run([...args, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};
const intakeUrl = async (): Promise<string> =>
  (await json<{ url: string }>("integrations", "show", world.integration.id)).url;
const PRIVATE_HTTP = ["destinations", "create", "http://127.0.0.1:9/hook"];

describe("beside a running server", () => {
  it("a command prints the intake URL of the running server", async () => {
    await using server = await world.processes.start(["up"]);
    expect(await intakeUrl()).toBe(`${server.url}/v1/integrations/${world.integration.id}`);
  });

  it("a command prints the public URL that only the server's environment has", async () => {
    await using server = await world.processes.start(["up"], { TARTAN_PUBLIC_URL: "https://hooks.example.com" });
    expect(server.url).not.toContain("example");
    expect(await intakeUrl()).toBe(`https://hooks.example.com/v1/integrations/${world.integration.id}`);
  });

  it("a command accepts a destination that the running server's options allow, and refuses it once that server has stopped", async () => {
    const options = { TARTAN_RELAY_ALLOW_HTTP: "true", TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1" };
    const server = await world.processes.start(["up"], options);
    const accepted = await world.processes.run(PRIVATE_HTTP);
    expect(accepted.code, accepted.stderr).toBe(0);
    expect(await server.stop()).toBe(0);
    const refused = await world.processes.run(PRIVATE_HTTP);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("invalid_request");
  });

  it("a process that stopped or was killed disappears from the list of processes", async () => {
    const [stopped, killed] = [await world.processes.start(["up"]), await world.processes.start(["up"])];
    const listed = async () => (await json<{ processes: { pid: number }[] }>("status")).processes.map(({ pid }) => pid);
    expect(await listed()).toEqual(expect.arrayContaining([stopped.pid, killed.pid]));
    await stopped.stop();
    await killed.kill9();
    expect(await listed()).not.toContain(stopped.pid);
    await world.database.query("update tartan.processes set seen_at = seen_at - interval '36 seconds'");
    expect(await listed()).toEqual([]);
  });
});

describe("where no server was ever started", () => {
  it("a command that only reads makes no folder, no database and no key, and says what to do", async () => {
    const parent = mkdtempSync(join(tmpdir(), "tartan-nothing-"));
    try {
      const env = { TARTAN_DATA_DIR: join(parent, "data") };
      for (const args of [["items", "list"], ["status"], ["webhooks", "list"], ["db", "url"], ["keys", "reset"]]) {
        const { code, stderr } = await runTartan(env, args);
        expect(code).toBe(1);
        expect(stderr).toContain("not_set_up");
        expect(stderr).toContain(env.TARTAN_DATA_DIR);
        expect(stderr).toContain("npx tartan up");
        expect(existsSync(env.TARTAN_DATA_DIR)).toBe(false);
      }
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it("a command that only reads makes no tables in an empty database", async () => {
    await using empty = await testDatabase({ empty: true });
    const { code, stderr } = await world.processes.run(["items", "list"], { TARTAN_DATABASE_URL: empty.url });
    expect(code).toBe(1);
    expect(stderr).toContain("npx tartan migrate");
    const { rows } = await empty.database.query<{ schemas: number }>(
      "select count(*)::int as schemas from pg_namespace where nspname in ('tartan', 'tartan_meta', 'journal')",
    );
    expect(rows).toEqual([{ schemas: 0 }]);
  });
});
