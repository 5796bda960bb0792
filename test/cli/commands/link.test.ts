import { afterAll, beforeAll, expect, it } from "vitest";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ simulator: {}, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("link", () => world.processes.env);

it("`tartan link token` makes a Link token whose public token `exchange` turns into an item, which `list` shows", async () => {
  const { id } = world.integration;
  const said = await cli.text(
    `link token --integration ${id} --user ann --products transactions --client-name Acme`,
    "--hosted",
    "--plaid",
    '{"redirect_uri":"https://acme.example.com/oauth"}',
  );
  expect(said).toMatch(
    /Link token\s+link-sandbox-[\s\S]*hosted page\s+https:[\s\S]*new items\s+your backend exchanges/,
  );
  const made = await cli.json<{ link_token: string; webhook: string }>(
    `link token --integration ${id} --user ann --products transactions --client-name Acme --adopt`,
  );
  expect(made).toMatchObject({
    user_id: "ann",
    adopt: true,
    webhook: expect.stringContaining(`/v1/integrations/${id}`),
  });
  const { public_token, item_id } = world.simulator.control.completeLink({ link_token: made.link_token });
  const withToken = cli.with({ PLAID_PUBLIC_TOKEN: public_token ?? "" });
  expect(await withToken.json(`link exchange --integration ${id} --user ann`)).toMatchObject({
    item_id,
    created: true,
  });
  expect(await withToken.text(`link exchange --integration ${id}`)).toContain(
    `✓ ${item_id} was linked with this token before`,
  );
  expect(await cli.json(`link list --item ${item_id}`)).toMatchObject({ data: [{ status: "linked", user_id: "ann" }] });
  const unknown = cli.with({ PLAID_PUBLIC_TOKEN: "public-sandbox-unknown" });
  expect(await unknown.refusal(`link exchange --integration ${id}`)).toMatch(
    /^public_token_refused: .*older than 30 minutes/,
  );
  expect(await cli.text("link list --status failed")).toMatch(
    /failed\s+–\s+–\s+request\s+1\s+exchanged_elsewhere[\s\S]*post ITEM\/CREATED/,
  );
});

it("`tartan link` refuses what is missing and what is wrong by name", async () => {
  const { id } = world.integration;
  expect(await cli.refusal(`link exchange --integration ${id}`)).toMatch(/PLAID_PUBLIC_TOKEN/);
  expect(await cli.refusal(`link token --integration ${id} --plaid [1]`)).toMatch(/^invalid_request: .*JSON object/);
  expect(await cli.refusal("link list --status lost")).toMatch(/^invalid_request: .*status/);
});

everyVerbIsRun(cli);
