/** The npm package, as a user gets it: packed from a checkout that was never built, installed into an empty folder, run. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { cleanEnv } from "../support/process.ts";
import { until } from "../support/until.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "tartan-package-"));
const checkout = join(folder, "checkout");
const user = join(folder, "user");
/** npm's own settings of the run around this one would reach the npm in it. */
const env = Object.fromEntries(
  Object.entries(cleanEnv({ TARTAN_PORT: "0", TARTAN_SIMULATOR_PORT: "0" })).filter(([name]) => !/^npm_/i.test(name)),
);
const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED|ENETUNREACH/;

let packed: { files: { path: string }[]; filename: string };
let unreachable = false;

beforeAll(async () => {
  chmodSync(folder, 0o755);
  const left = new Set(["node_modules", "dist", ".git", ".tartan"].map((name) => join(root, name)));
  cpSync(root, checkout, { recursive: true, filter: (path) => !left.has(path) });
  symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: checkout, env });
  [packed] = JSON.parse(stdout.slice(stdout.indexOf("["))) as [typeof packed];
  mkdirSync(user);
  writeFileSync(join(user, "package.json"), '{"private":true,"type":"module"}');
  try {
    const tarball = join(folder, packed.filename);
    await run("npm", ["install", tarball, "--prefer-offline", "--no-audit", "--no-fund"], { cwd: user, env });
  } catch (error) {
    unreachable = UNREACHABLE.test(String((error as { stderr?: string }).stderr));
    if (!unreachable) throw error;
  }
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("a package packed from a checkout that was never built holds the build, the tables and the docs, and nothing else", () => {
  const paths = packed.files.map(({ path }) => path);
  const reference = ["page.js", "page.css", "scalar/standalone.js.gz", "scalar/LICENSE", "scalar/bundled-licenses.txt"];
  for (const path of [
    "dist/cli/main.js",
    "dist/simulator/index.d.ts",
    ...reference.map((name) => `dist/api/docs/${name}`),
    "sql/0001_database.sql",
    "README.md",
  ]) {
    expect(paths).toContain(path);
  }
  expect(paths.filter((path) => !/^(dist|sql|docs)\/|^(README\.md|LICENSE|package\.json)$/.test(path))).toEqual([]);
});

it("the package installed into an empty folder runs `npx tartan demo`, which ends in order at Ctrl-C", async ({
  skip,
}) => {
  skip(unreachable, "the npm registry cannot be reached from here");
  const demo = spawn("npx", ["tartan", "demo"], { cwd: user, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let said = "";
  for (const stream of [demo.stdout, demo.stderr]) stream.on("data", (part: Buffer) => (said += part.toString()));
  const ended = once(demo, "exit");
  try {
    await until("an item is mirrored", async () => /ITEM\/CREATED.*\+\d+ transactions/.test(said) || gone(demo, said));
    const url = /API\s+(http:\S+)\/v1/.exec(said)?.[1] ?? "";
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const [script = ""] = /\/docs\/scalar[^"]+/.exec(await (await fetch(`${url}/docs`)).text()) ?? [];
    expect((await fetch(url + script)).status).toBe(200);
    expect(readFileSync(join(user, ".tartan/postgres/data/postmaster.pid"), "utf8")).toMatch(/ready/);
  } finally {
    // A terminal's Ctrl-C reaches npx and the command alike.
    process.kill(-(demo.pid ?? 0), "SIGINT");
  }
  await ended;
  await until("Postgres has stopped", async () => (await findPostmaster(join(user, ".tartan/postgres/data"))) === null);
  expect(said).not.toMatch(/^\s+at /m);
}, 180_000);

function gone({ exitCode }: ChildProcess, said: string): boolean {
  if (exitCode !== null) throw new Error(`it ended with ${exitCode}:\n${said}`);
  return false;
}

it("the installed package gives tests its simulator as `tartan-server/simulator`", async ({ skip }) => {
  skip(unreachable, "the npm registry cannot be reached from here");
  const program = `
    import { startSimulator } from "tartan-server/simulator";
    const simulator = await startSimulator({ rateLimits: false });
    console.log(typeof simulator.control.createItems, simulator.url);
    await simulator[Symbol.asyncDispose]();`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: user, env });
  expect(stdout).toMatch(/^function http:/);
});
