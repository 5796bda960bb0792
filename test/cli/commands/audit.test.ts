import { userInfo } from "node:os";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ simulator: {}, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("audit", () => world.processes.env);

it("`tartan audit list` shows what commands changed, by whom and why", async () => {
  const { id } = world.integration;
  await cli.json(`integrations update ${id} --reveal liabilities`, "--reason", "payouts");
  await cli.json("keys reset", "--reason", "It was lost.");
  const actor = `cli:${userInfo().username}`;
  const { data } = await cli.json<{ data: unknown[] }>("audit list --actor", actor);
  expect(data).toMatchObject([
    { action: "api_key.reset", target: "admin", reason: "It was lost." },
    { action: "resources.revealed", integration_id: id, reason: "payouts", details: { resources: ["liabilities"] } },
  ]);
  const said = await cli.text("audit list --action resources.revealed");
  expect(said).toMatch(new RegExp(`${actor}\\s+resources\\.revealed\\s+${id}\\s+resources: liabilities\\s+payouts`));
  expect(await cli.text("audit list --target admin")).toContain("It was lost.");
  expect(await cli.text(`audit list --integration ${id} --actor nobody`)).toContain("Nothing was changed yet.");
  expect(await cli.refusal("audit list --action invented")).toMatch(/^invalid_request: .*action/);
});

everyVerbIsRun(cli);
