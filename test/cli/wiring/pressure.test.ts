/** That the wiring gives each kind of work the pressure of the intake: what is left out would never give way. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openCore } from "../../../src/cli/wiring/core.ts";
import { ROLES, serve } from "../../../src/cli/wiring/serve.ts";
import { createIntegration } from "../../../src/integrations/integrations.ts";
import { NO_GATE, NO_PRESSURE, type Pressure } from "../../../src/model/pressure.ts";
import { arrived, MemoryIntake, open } from "../../spool/support.ts";
import { testDatabase } from "../../support/database.ts";
import { introduceItem } from "../../support/link.ts";
import { until } from "../../support/until.ts";
import { newMasterKey } from "../../support/world/base.ts";

const ADMIN_KEY = "admin-key-of-the-wiring";

/** Notes who asks it. */
function notedPressure(): { pressure: Pressure; asked: Set<string> } {
  const asked = new Set<string>();
  const pressure: Pressure = {
    ...NO_PRESSURE,
    batch: () => void asked.add("accepting"),
    giveWay: async (worker) => void asked.add(worker),
    gate: ({ worker }) => (asked.add(worker), NO_GATE),
  };
  return { pressure, asked };
}

it("in a process with all roles each kind of work gives way to webhooks, and accepting them says how many wait", async () => {
  await using db = await testDatabase();
  const dataDir = mkdtempSync(join(tmpdir(), "tartan-wiring-"));
  try {
    await leaveInSpool(dataDir);
    const env = {
      TARTAN_DATABASE_URL: db.url,
      TARTAN_DATA_DIR: dataDir,
      TARTAN_MASTER_KEY: newMasterKey(),
      TARTAN_ADMIN_KEY: ADMIN_KEY,
      TARTAN_PORT: "0",
      TARTAN_LOG_LEVEL: "fatal",
    };
    await using core = await openCore(env, { as: "server" });
    const plaid = {
      client_id: "id",
      secret: "secret",
      environment: "sandbox",
      plaid_url: "http://127.0.0.1:9",
    } as const;
    const { id, webhook_secret } = await createIntegration(core.database, core.vault, plaid);
    await introduceItem(core, { integration_id: id, item_id: "item-1", access_token: "access-sandbox-1" });
    const { pressure, asked } = notedPressure();
    const { url } = await serve({ ...core, pressure }, ROLES);
    const post = (path: string, headers: Record<string, string>, body: object) =>
      fetch(url + path, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const webhook = { webhook_type: "TRANSACTIONS", webhook_code: "HISTORICAL_UPDATE", item_id: "item-1" };
    const accepted = await post(`/v1/integrations/${id}`, { "tartan-webhook-secret": webhook_secret }, webhook);
    expect(accepted.status).toBe(200);
    const job = await post("/v1/backfills", { authorization: `Bearer ${ADMIN_KEY}` }, { integration_id: id });
    expect(job.status).toBe(202);
    const all = [
      "accepting",
      "deliveries",
      "dispatch",
      "drain",
      "janitor",
      "jobs",
      "marker",
      "replays",
      "runs",
      "silence",
    ];
    await until("each has asked", () => all.every((each) => asked.has(each)), 10).catch(() => undefined);
    expect([...asked].toSorted()).toEqual(all);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

/** A webhook that an earlier process could not bring into Postgres. */
async function leaveInSpool(dataDir: string): Promise<void> {
  const inner = new MemoryIntake();
  inner.mode = "away";
  await using opened = await open({ path: join(dataDir, "spool") } as Parameters<typeof open>[0], inner);
  await opened.spool.accept(arrived());
}
