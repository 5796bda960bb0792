import { afterAll, beforeAll, expect, it } from "vitest";
import { CommandLine, everyVerbIsRun, UNREACHABLE } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { createListener } from "../../../src/listeners/listeners.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ simulator: {}, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("listeners", () => world.processes.env);
const auth0 = () => createListener(world.database, { kind: "auth0", cut_prefix: "auth0|" });

it("`tartan listeners create` prints the URL and the token once, and `list` shows what the listeners have counted", async () => {
  expect(await cli.text("listeners list")).toContain("There is no listener yet");
  const { id: integration } = world.integration;
  const settings = ["--integration", integration, "--cut-prefix", "auth0|", "--throttle", "60"];
  const made = await cli.json("listeners create --kind auth0 --events s,ssa", ...settings);
  const expected = { integration_id: integration, event_types: ["s", "ssa"], cut_prefix: "auth0|", throttle_s: 60 };
  expect(made).toMatchObject({ ...expected, token: expect.stringMatching(/^lst_/) });
  const said = await cli.text("listeners create --kind generic --token a-token-of-our-own");
  expect(said).toMatch(/\/v1\/listeners\/lsn_[a-z0-9]{24}[\s\S]*a-token-of-our-own.*not shown again/);
  expect(await cli.refusal("listeners create --kind generic --events s")).toMatch(/^invalid_request: .*event_types/);
  const listed = await cli.json("listeners list");
  expect(listed).toMatchObject({ data: [{ id: made["id"] }, { kind: "generic", counts: { logins: 0 } }] });
  expect(JSON.stringify(listed)).not.toContain(made["token"]);
  expect(await cli.with(UNREACHABLE).refusal("listeners list")).toMatch(/^database_unavailable: /);
});

it("`tartan listeners update` changes what it is given, and `show` shows the listener without its token", async () => {
  const { id, token } = await auth0();
  expect(await cli.text(`listeners update ${id} --throttle 3600 --no-cut-prefix`)).toContain("is changed");
  const changed = { name: "logins", throttle_s: 3600, cut_prefix: null };
  expect(await cli.json(`listeners update ${id} --name logins`)).toMatchObject(changed);
  expect(await cli.refusal("listeners update lsn_none --name x")).toMatch(/^not_found: /);
  const shown = await cli.text(`listeners show ${id}`);
  expect(shown).toMatch(/throttle\s+3600 s/);
  expect(shown).not.toContain(token);
  expect(await cli.json(`listeners show ${id}`)).toMatchObject({ id, ...changed });
  expect(await cli.refusal("listeners show lsn_none")).toMatch(/^not_found: /);
});

it("`tartan listeners rotate` prints a new token, and `delete` asks for confirmation", async () => {
  const [{ id, token }, other] = [await auth0(), await auth0()];
  const rotated = await cli.text(`listeners rotate ${id}`);
  expect(rotated).toMatch(/token\s+lst_/);
  expect(rotated).not.toContain(token);
  const own = "another-token-of-our-own";
  expect(await cli.json(`listeners rotate ${id} --token ${own}`)).toMatchObject({ id, token: own });
  expect(await cli.refusal(`listeners rotate ${id} --token short`)).toMatch(/^invalid_request: .*token/);
  expect(await cli.refusal(`listeners delete ${id}`)).toContain("--yes");
  expect(await cli.text(`listeners delete ${other.id} --yes`)).toContain("is deleted");
  expect(await cli.json(`listeners delete ${id} --yes`)).toEqual({ id, deleted: true });
});

everyVerbIsRun(cli);
