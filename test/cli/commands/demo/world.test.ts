/** The world of `tartan demo`, as the last demo left it. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Closer } from "../../../../src/cli/wiring/closer.ts";
import type { Core } from "../../../../src/cli/wiring/core.ts";
import { DEMO_NAME, openWorld } from "../../../../src/cli/commands/demo/world.ts";
import { createIntegration } from "../../../../src/integrations/integrations.ts";
import { openVault } from "../../../../src/integrations/vault.ts";
import { testDatabase } from "../../../support/database.ts";

const dataDir = mkdtempSync(join(tmpdir(), "tartan-demo-world-"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

it("a demo whose world cannot be read names the file and the option that begins a new world, and that option works", async () => {
  await using db = await testDatabase();
  await using closer = new Closer();
  const vault = openVault([randomBytes(32).toString("base64")]);
  const made = { client_id: "client", secret: "secret", environment: "sandbox" } as const;
  await createIntegration(db.database, vault, { ...made, name: DEMO_NAME, plaid_url: "http://127.0.0.1:1" });
  const core = { config: { dataDir, simulatorPort: 0 }, database: db.database, closer } as unknown as Core;
  writeFileSync(join(dataDir, "demo-world"), "");
  const refused = openWorld(core, false);
  await expect(refused).rejects.toMatchObject({ code: "simulator_invalid_request" });
  await expect(refused).rejects.toThrow(join(dataDir, "demo-world"));
  await expect(refused).rejects.toThrow("tartan demo --fresh");
  expect((await openWorld(core, true)).integrationId).toBeNull();
});
