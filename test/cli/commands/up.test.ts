import { afterAll, beforeAll, expect, it } from "vitest";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { ADMIN_KEY, startWorld, type World } from "../../support/world/index.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "up" }, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("up", () => world.processes.env);
const upLine = (line: string) => /"url":"([^"]+)".*tartan is up/.exec(line)?.[1] ?? null;

it("`tartan up --only` runs these roles, says where they listen, and stops in order", async () => {
  await using server = await cli.start(upLine, "up --only api");
  const said = server.output.join("\n");
  expect(said).toContain("Tartan runs api");
  expect(said).toContain(`${server.url}/v1`);
  expect(said).toMatch(/next\s+npx tartan status/);
  expect(said).not.toMatch(/webhooks\s+http/);
  const authorization = `Bearer ${ADMIN_KEY}`;
  expect((await fetch(`${server.url}/v1/items`, { headers: { authorization } })).status).toBe(200);
  const { rows } = await world.database.query("select roles from tartan.processes");
  expect(rows).toEqual([{ roles: ["api"] }]);

  const { port } = new URL(server.url);
  const taken = await cli.with({ TARTAN_PORT: port }).run("up");
  expect([taken.code, taken.stderr]).toEqual([
    1,
    expect.stringMatching(/Port \d+ of 127\.0\.0\.1 is in use.*\[config_invalid\]/),
  ]);
  expect(await server.stop()).toBe(0);
});

it("`tartan up --only` refuses an unknown role with those there are", async () => {
  expect(await cli.refusal("up --only receiver,sink")).toMatch(
    /^invalid_request: .*--only takes receiver, sync, relay, api, not sink\./,
  );
});

it("`tartan up` reports all errors of a configuration together before anything starts", async () => {
  const wrong = { TARTAN_PORT: "nonsense", TARTAN_HOTS: "x", TARTAN_ADMIN_KEY: "short" };
  const { code, stderr } = await cli.with(wrong).run("up");
  expect(code).toBe(1);
  for (const name of ["TARTAN_PORT", "TARTAN_HOTS", "TARTAN_ADMIN_KEY"]) expect(stderr).toContain(name);
});

everyVerbIsRun(cli);
