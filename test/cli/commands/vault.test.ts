import { afterAll, beforeAll, expect, it } from "vitest";
import { openVault } from "../../../src/integrations/vault.ts";
import { openStage, type Stage } from "../../support/stage.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ seed: "vault" });
});
afterAll(() => stage[Symbol.asyncDispose]());

const cli = new CommandLine("vault", () => stage.env);
const NEXT = Buffer.alloc(32, 7).toString("base64");

it("`tartan vault rotate` seals everything under another key, and the old key is no longer needed", async () => {
  const old = stage.env["TARTAN_MASTER_KEY"] ?? "";
  const said = await cli.with({ TARTAN_MASTER_KEY: `${NEXT},${old}` }).text("vault rotate");
  expect(said).toMatch(/tartan\.integrations\.\w+\s+1\s/);
  expect(said).toContain(`everything is sealed under key ${openVault([NEXT]).activeKeyId}`);
  const integrations = new CommandLine("integrations", () => ({ ...stage.env, TARTAN_MASTER_KEY: NEXT }));
  const rotated = await integrations.json("integrations rotate-secret", stage.integration.id);
  expect(rotated).toMatchObject({ webhook_secret: expect.any(String) as unknown });
  expect(await cli.refusal("vault rotate")).toMatch(/^vault_key_missing: /);

  const back = await cli.with({ TARTAN_MASTER_KEY: `${old},${NEXT}` }).json("vault rotate");
  expect(back).toMatchObject({ key_id: openVault([old]).activeKeyId });
});

everyVerbIsRun(cli);
