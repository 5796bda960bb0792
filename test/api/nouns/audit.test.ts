/** Each change that the audit log records, with its actor and reason and without a secret; and that nothing changes the log. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { audit, trimAudit } from "../../../src/audit/audit.ts";
import { ACTIONS } from "../../../src/audit/audit.schema.ts";
import { resetAdminKey } from "../../../src/integrations/api-keys.ts";
import { updateIntegration } from "../../../src/lifecycle/integrations.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const listed = async (query: string) => (await world.api.call(`GET /v1/audit?${query}`)).body.data;

it("changes by the API are recorded with the key's owner, the reason and the names of what changed, and no secret", async () => {
  const { call } = world.api;
  const { id } = await world.api.integrate({ name: "audited", revealed_resources: ["liabilities"] });
  const change = {
    secret: world.simulator.secret,
    name: "renamed",
    revealed_resources: [],
    reason: "No longer paid out.",
  };
  expect((await call(`PATCH /v1/integrations/${id}`, { body: change })).status).toBe(200);
  await call(`POST /v1/integrations/${id}/rotate_secret`, { body: { reason: "It was in a log." } });
  for (const erase of ["false", "true"]) {
    const body = { integration_id: id, item_id: "item-1", access_token: "access-sandbox-audit-1234" };
    await call("POST /v1/items", { body });
    expect((await call(`DELETE /v1/items/item-1?erase=${erase}&reason=asked`)).status).toBe(200);
  }
  expect((await call(`DELETE /v1/integrations/${id}?purge=true`)).status).toBe(200);
  const rows = await listed(`integration_id=${id}&limit=50`);
  const head = { actor: "admin key", integration_id: id, target: null, reason: null };
  expect(rows.toReversed()).toMatchObject([
    { ...head, action: "integration.created", details: { name: "audited" } },
    { ...head, action: "resources.revealed", details: { resources: ["liabilities"] } },
    { ...head, action: "resources.hidden", reason: "No longer paid out.", details: { resources: ["liabilities"] } },
    { ...head, action: "integration.changed", reason: "No longer paid out.", details: { fields: ["name", "secret"] } },
    { ...head, action: "webhook_secret.rotated", reason: "It was in a log." },
    { ...head, action: "item.unlinked", target: "item-1", reason: "asked" },
    { ...head, action: "item.erased", target: "item-1", reason: "asked" },
    { ...head, action: "integration.deleted", details: { purge: true } },
  ]);
  expect(JSON.stringify(rows)).not.toContain(world.simulator.secret);
  expect(JSON.stringify(rows)).not.toContain("access-sandbox");
});

it("a change that is refused or rolled back is not in the audit log", async () => {
  const { id } = await world.api.integrate();
  const refused = { name: "renamed", revealed_resources: ["holdings"] };
  expect((await world.api.call(`PATCH /v1/integrations/${id}`, { body: refused })).status).toBe(400);
  const broken = {
    ...world.database,
    transaction: async (work: (tx: never) => Promise<unknown>) =>
      world.database.transaction(async (tx) => {
        await work(tx as never);
        throw new Error("rolled back");
      }),
  } as unknown as typeof world.database;
  await expect(updateIntegration(broken, world.vault, id, { name: "renamed" })).rejects.toThrow("rolled back");
  expect(await listed(`integration_id=${id}`)).toMatchObject([{ action: "integration.created" }]);
});

it("the audit log is listed newest first, in pages, and by action, actor and target", async () => {
  await world.database.transaction(async (tx) => {
    for (let n = 0; n < 5; n += 1)
      await audit(tx, { actor: "pager" }, { action: "item.erased", integrationId: "svi_pages", target: `item-${n}` });
  });
  const seen: string[] = [];
  let cursor = "";
  do {
    const { body } = await world.api.call(`GET /v1/audit?actor=pager&action=item.erased&limit=2${cursor}`);
    seen.push(...body.data.map(({ target }: { target: string }) => target));
    cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
  } while (cursor);
  expect(seen).toEqual(["item-4", "item-3", "item-2", "item-1", "item-0"]);
  expect(await listed("actor=pager&action=api_key.reset")).toEqual([]);
  expect(await listed("actor=pager&target=item-3")).toMatchObject([{ target: "item-3" }]);
  const unknown = await world.api.call("GET /v1/audit?action=item.invented");
  expect([unknown.status, unknown.body.error.code]).toEqual([400, "invalid_request"]);
  expect(ACTIONS).not.toHaveProperty("item.invented");
});

it("no statement changes or deletes a row of the audit log; only its retention deletes old ones", async () => {
  const { database } = world;
  await database.query(
    "insert into tartan.audit_log (id, at, actor, action) values ('01900000-0000-7000-8000-000000000000', '2024-06-09', 'old', 'item.erased')",
  );
  for (const statement of [
    "update tartan.audit_log set actor = 'somebody else'",
    "delete from tartan.audit_log",
    "truncate tartan.audit_log",
  ])
    await expect(database.query(statement)).rejects.toThrow("append-only");
  const count = async () => (await database.query("select from tartan.audit_log")).rowCount;
  const before = await count();
  expect(await trimAudit(database, 400)).toBe(1);
  expect(await count()).toBe(before - 1);
  await expect(database.query("delete from tartan.audit_log")).rejects.toThrow("append-only");
});

it("replacing the administrator's key is recorded", async () => {
  await resetAdminKey(world.database, { actor: "cli:somebody" });
  const { rows } = await world.database.query(
    "select action, target from tartan.audit_log where actor = 'cli:somebody'",
  );
  expect(rows).toEqual([{ action: "api_key.reset", target: "admin" }]);
});
