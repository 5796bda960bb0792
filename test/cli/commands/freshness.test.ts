import { afterAll, beforeAll, expect, it } from "vitest";
import { startWorld, type World } from "../../support/world/index.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("freshness", () => world.processes.env);

it("`tartan freshness` shows how many items were read within the window, by resource", async () => {
  const { id } = world.integration;
  await world.database.query(
    `insert into silence.freshness (integration_id, kind, resource, subjects, within_window, never_read, oldest_verified_at)
    values ($1, 'item', 'transactions', 200, 150, 3, now() - interval '3 days 1 hour')`,
    [id],
  );
  await world.database.query("update silence.freshness_pass set as_of = now(), window_seconds = 86400");
  expect(await cli.text(`freshness --integration ${id}`)).toMatch(
    /within 24 h[\s\S]*transactions\s+200\s+150 \(75 %\)\s+3\s+3 d ago/,
  );
  const { data } = await cli.json<{ data: unknown[] }>("freshness");
  expect(data).toMatchObject([
    { integration_id: id, resources: [{ subjects: 200, within_window: 150, never_read: 3 }] },
  ]);
  expect(await cli.refusal("freshness --cursor none")).toMatch(/^invalid_request: .*cursor/);
});

everyVerbIsRun(cli);
