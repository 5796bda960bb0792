import { afterAll, beforeAll, expect, it } from "vitest";
import { append } from "../../../src/journal/append.ts";
import { gapWebhook } from "../../../src/sync/gap.ts";
import { startWorld, type World } from "../../support/world/index.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("gaps", () => world.processes.env);

it("`tartan gaps list` says what was missed or which rows were wrong, and that it is not healed yet", async () => {
  const { id: integrationId } = world.integration;
  const missed = { code_sent: "SYNC_UPDATES_AVAILABLE", sent_at: "2026-01-05T12:00:00Z" };
  const about = { integrationId, itemId: "an-item", environment: "sandbox" };
  await append(world.database, [gapWebhook(about, { missed, differs: ["consent_expiration_time"] })]);
  const row = { key: "a-transaction", difference: "missing", columns: [] };
  const wrong = ["transactions", "transactions", "accounts"].map((table) => ({ table, ...row }));
  await append(world.database, [gapWebhook({ ...about, itemId: "other-item" }, { wrong })]);
  const { data } = await cli.json<{ data: unknown[] }>("gaps list --item an-item");
  expect(data).toMatchObject([{ item_id: "an-item", differing_fields: ["consent_expiration_time"], healed_at: null }]);
  expect(await cli.text(`gaps list --integration ${integrationId}`)).toMatch(
    /full_check\s+other-item\s+3 wrong rows in transactions, accounts\s+not yet[\s\S]*check\s+an-item\s+SYNC_UPDATES_AVAILABLE sent \d+ d ago; consent_expiration_time of the item\s+not yet/,
  );
  expect(await cli.refusal("gaps list --cursor none")).toMatch(/^invalid_request: .*cursor/);
});

everyVerbIsRun(cli);
