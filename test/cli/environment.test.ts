/** What an environment may hold besides Tartan's options, as Kubernetes, other clients of Postgres and people leave it. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig, readTartanEnvironment } from "../../src/config.ts";
import { runTartan, startTartan } from "../support/process.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tartan-environment-"));
  // Run by root, Postgres is another user's.
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a pod has when Services named tartan and tartan-simulator exist in its namespace. */
const KUBERNETES = {
  TARTAN_SERVICE_HOST: "10.96.0.7",
  TARTAN_SERVICE_PORT: "4400",
  TARTAN_SERVICE_PORT_HTTP: "4400",
  TARTAN_PORT: "tcp://10.96.0.7:4400",
  TARTAN_PORT_4400_TCP: "tcp://10.96.0.7:4400",
  TARTAN_PORT_4400_TCP_PROTO: "tcp",
  TARTAN_PORT_4400_TCP_PORT: "4400",
  TARTAN_PORT_4400_TCP_ADDR: "10.96.0.7",
  TARTAN_SIMULATOR_SERVICE_HOST: "10.96.0.8",
  TARTAN_SIMULATOR_PORT: "tcp://10.96.0.8:4410",
  TARTAN_SIMULATOR_PORT_4410_TCP_ADDR: "10.96.0.8",
};

/** What another client of Postgres may have exported; each of them would break or change a connection. */
const LIBPQ = {
  PGSSLMODE: "require",
  PGHOST: "192.0.2.1",
  PGPORT: "1",
  PGUSER: "somebody",
  PGPASSWORD: "wrong",
  PGDATABASE: "elsewhere",
  PGSERVICE: "missing",
  PGOPTIONS: "-c default_transaction_read_only=on",
  PGTZ: "Asia/Tokyo",
  PGCLIENTENCODING: "LATIN1",
};

describe("the environment", () => {
  it("the environment of a pod beside a Service named tartan leaves the defaults, and is mentioned in one note", () => {
    const { notes } = readTartanEnvironment(KUBERNETES);
    expect(notes).toHaveLength(1);
    for (const name of Object.keys(KUBERNETES)) expect(notes[0]).toContain(name);
    expect(loadConfig(KUBERNETES)).toEqual(loadConfig({}));
  });

  it("the environment may set the port as a number while the rest of the Service's variables is there", () => {
    const { port } = loadConfig({ ...KUBERNETES, TARTAN_PORT: "4500" });
    expect(port).toBe(4500);
  });

  it("the environment with a port that is neither a number nor a Service's URL is refused", () => {
    expect(() => loadConfig({ TARTAN_PORT: "http://x" })).toThrow(expect.objectContaining({ code: "config_invalid" }));
  });

  it("a mistyped option in the environment is answered with the option that was meant", () => {
    const { notes } = readTartanEnvironment({ TARTAN_DATABSE_URL: "x", TARTAN_ZZZZZZZZZZZZ: "y", HOME: "/" });
    expect(notes).toEqual([
      "TARTAN_DATABSE_URL is not an option and was ignored; did you mean TARTAN_DATABASE_URL?",
      "TARTAN_ZZZZZZZZZZZZ is not an option and was ignored; `tartan config` lists the options.",
    ]);
  });
});

it("a server starts in such an environment, on its embedded Postgres, and says what it ignored", async () => {
  const env = { ...KUBERNETES, ...LIBPQ, TARTAN_DATA_DIR: join(folder, "data"), TARTAN_HOTS: "x" };
  // The default port would be taken now and then on a machine that runs tests.
  await using server = await startTartan({ ...env, TARTAN_PORT: "0" });
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  const said = server.output.join("\n");
  expect(said).toContain("TARTAN_SERVICE_HOST");
  expect(said).toMatch(/TARTAN_HOTS is not an option and was ignored; did you mean TARTAN_HOST\?/);
  const beside = await runTartan(env, ["status", "--json"]);
  expect(beside.code, beside.stderr).toBe(0);
  expect(JSON.parse(beside.stdout)).toHaveProperty("due");
  expect(await server.stop()).toBe(0);
}, 60_000);

it("the tables of an embedded Postgres are made in such an environment", async () => {
  const { code, stderr } = await runTartan({ ...LIBPQ, TARTAN_DATA_DIR: join(folder, "migrated") }, ["migrate"]);
  expect(code, stderr).toBe(0);
}, 60_000);

describe("--env-file", () => {
  it("--env-file sets options, and variables that are already set override it", async () => {
    const file = join(folder, "options");
    writeFileSync(file, "TARTAN_PORT=nonsense\nTARTAN_HOST='not used'\n# a comment\nTARTAN_LOG_LEVEL=nonsense\n");
    const { code, stderr } = await runTartan({ TARTAN_LOG_LEVEL: "info" }, ["--env-file", file, "config"]);
    expect(code).toBe(1);
    expect(stderr).toContain("TARTAN_PORT");
    expect(stderr).not.toContain("TARTAN_LOG_LEVEL");
  });

  it("a missing --env-file is refused in a sentence", async () => {
    const { code, stderr } = await runTartan({}, ["--env-file", join(folder, "missing"), "config"]);
    // Node 20 reads the option of a script as its own, and says so itself.
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/\S+missing( of --env-file does not exist\.|: not found)/);
  });
});
