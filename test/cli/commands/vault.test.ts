import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openVault } from "../../../src/integrations/vault.ts";
import { MemoryIntake, open, type Root } from "../../spool/support.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "vault" }, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("vault", () => world.processes.env);
const NEXT = Buffer.alloc(32, 7).toString("base64");

it("`tartan vault rotate` seals everything under another key, and the old key is no longer needed", async () => {
  const old = world.masterKey;
  const said = await cli.with({ TARTAN_MASTER_KEY: `${NEXT},${old}` }).text("vault rotate");
  expect(said).toMatch(/tartan\.integrations\.\w+\s+1\s/);
  expect(said).toContain(`everything is sealed under key ${openVault([NEXT]).activeKeyId}`);
  const integrations = new CommandLine("integrations", () => ({ ...world.processes.env, TARTAN_MASTER_KEY: NEXT }));
  const rotated = await integrations.json("integrations rotate-secret", world.integration.id);
  expect(rotated).toMatchObject({ webhook_secret: expect.any(String) as unknown });
  expect(await cli.refusal("vault rotate")).toMatch(/^vault_key_missing: /);

  const back = await cli.with({ TARTAN_MASTER_KEY: `${old},${NEXT}` }).json("vault rotate");
  expect(back).toMatchObject({ key_id: openVault([old]).activeKeyId });
});

it("`tartan vault rotate` counts the tokens that wait in the spool under the old key, so that it is kept", async () => {
  const { TARTAN_DATA_DIR: dataDir = "" } = world.processes.env;
  const inner = Object.assign(new MemoryIntake(), { mode: "away" as const });
  const root = { path: join(dataDir, "spool") } as Root;
  {
    await using opened = await open(root, inner, { vault: openVault([world.masterKey]) });
    const item = { integrationId: world.integration.id, itemId: "item-1", accessToken: "access-sandbox-1" };
    await opened.spool.accept({ arrival: "linked_item", ...item });
  }
  const both = cli.with({ TARTAN_MASTER_KEY: `${NEXT},${world.masterKey}` });
  expect(await both.json("vault rotate")).toMatchObject({ spooled: 1 });
  expect(await both.text("vault rotate")).toMatch(
    /1 token in the spool is still sealed under an old key\. Keep that key/,
  );
});

everyVerbIsRun(cli);
