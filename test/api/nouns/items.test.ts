import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { getItemSecret } from "../../../src/integrations/items.ts";
import { resourcesOf } from "../../../src/resources/index.ts";
import { startSimulator } from "../../../src/simulator/index.ts";
import { markAll } from "../../support/mark.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"api">;
let integration: string;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
  integration = (await world.api.integrate()).id;
});

let count = 0;
const link = async (more: Record<string, unknown> = {}) => {
  const item_id = `item-${(count += 1)}`;
  const body = { integration_id: integration, item_id, access_token: `access-sandbox-${item_id}`, ...more };
  return { item_id, answer: await world.api.call("POST /v1/items", { body }) };
};

describe("linking an Item", () => {
  it("linking an Item answers 201, keeps the token sealed, journals ITEM/CREATED and makes the first sync due", async () => {
    const { item_id, answer } = await link({ user_id: "user-1" });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      item_id,
      integration_id: integration,
      webhook_id: expect.stringMatching(/^whk_/),
      created: true,
    });
    const secret = await getItemSecret(world.database, world.vault, integration, item_id);
    expect(secret).toEqual({ access_token: `access-sandbox-${item_id}`, user_id: "user-1" });
    const webhook = await world.api.call(`GET /v1/webhooks/${answer.body.webhook_id}`);
    expect(webhook.body).toMatchObject({
      source: "BACKEND",
      webhook_type: "ITEM",
      webhook_code: "CREATED",
      user_id: "user-1",
    });
    await markAll(world.database);
    const item = await world.api.call(`GET /v1/items/${item_id}`);
    expect(item.body).toMatchObject({
      item_id,
      user_id: "user-1",
      status: "pending",
      due: true,
      accounts: 0,
      transactions: 0,
      unfit_values: [],
      resources: resourcesOf("item").map(({ name: resource, billed }) => ({
        resource,
        verified_at: null,
        rows: 0,
        absent: billed ? "not_enabled" : null,
      })),
    });
  });

  it("linking an Item again answers 200, replaces the token and keeps the known user", async () => {
    const { item_id } = await link({ user_id: "user-2" });
    const body = { integration_id: integration, item_id, access_token: "access-sandbox-renewed" };
    const again = await world.api.call("POST /v1/items", { body });
    expect([again.status, again.body.created]).toEqual([200, false]);
    const secret = await getItemSecret(world.database, world.vault, integration, item_id);
    expect(secret).toEqual({ access_token: "access-sandbox-renewed", user_id: "user-2" });
  });

  it("linking an Item is refused with the invalid fields and without repeating the token", async () => {
    const { answer } = await link({ item_id: 7, user_id: "", access_token: "access-sandbox-secret", acces_token: "x" });
    expect(answer.status).toBe(400);
    expect(answer.body.error.fields).toEqual({
      item_id: "must be a string",
      user_id: "must not be empty",
      acces_token: "is not a known field; known are integration_id, item_id, access_token, user_id",
    });
    expect(answer.text).not.toContain("access-sandbox-secret");
  });

  it("linking an Item with the token of another Item is refused with the field and stores nothing", async () => {
    const [item, other] = world.simulator.control.createItems({ count: 2, transactions: 0 }).items;
    if (!item || !other) throw new Error("no item");
    const { answer } = await link({ item_id: item.item_id, access_token: other.access_token });
    expect(answer.status).toBe(422);
    expect(answer.body.error).toEqual({
      code: "token_of_another_item",
      message: expect.any(String),
      fields: { access_token: "belongs to another item than item_id names" },
    });
    expect(answer.text).not.toContain(other.item_id);
    expect((await world.api.call(`GET /v1/items/${item.item_id}`)).status).toBe(404);
    expect((await link({ item_id: item.item_id, access_token: item.access_token })).answer.status).toBe(201);
    const again = await link({ item_id: item.item_id, access_token: other.access_token });
    expect(again.answer.status).toBe(422);
    const secret = await getItemSecret(world.database, world.vault, integration, item.item_id);
    expect(secret?.access_token).toBe(item.access_token);
  });

  it("an Item is linked while Plaid does not answer", async () => {
    const [item, other] = world.simulator.control.createItems({ count: 2, transactions: 0 }).items;
    if (!item || !other) throw new Error("no item");
    world.simulator.control.addFault({ kind: "server_error", endpoint: "/item/get", item_id: other.item_id, count: 1 });
    const { answer } = await link({ item_id: item.item_id, access_token: other.access_token });
    expect(answer.status).toBe(201);
  });

  it("linking an Item to an unknown integration is 404 and stores nothing", async () => {
    const { item_id, answer } = await link({ integration_id: "svi_none" });
    expect([answer.status, answer.body.error.fields]).toEqual([404, { integration_id: "names no integration" }]);
    expect((await world.api.call(`GET /v1/items/${item_id}`)).status).toBe(404);
  });
});

describe("Items are listed", () => {
  it("Items are listed by integration, user and status, and by combinations", async () => {
    const one = await link({ user_id: "a-user" });
    const two = await link({ user_id: "another" });
    const ids = async (query: string) => {
      const { body } = await world.api.call(`GET /v1/items?${query}`);
      return body.data.map((item: { item_id: string }) => item.item_id);
    };
    expect(await ids(`integration_id=${integration}`)).toEqual([one.item_id, two.item_id].toSorted());
    expect(await ids(`integration_id=${integration}&user_id=a-user`)).toEqual([one.item_id]);
    expect(await ids(`integration_id=${integration}&status=pending`)).toHaveLength(2);
    expect(await ids(`integration_id=${integration}&status=ok`)).toEqual([]);
    expect(await ids("integration_id=svi_none")).toEqual([]);
  });

  it("an unknown status of Items is refused with the known ones", async () => {
    const { status, body } = await world.api.call("GET /v1/items?status=broken");
    expect(status).toBe(400);
    expect(body.error.fields.status).toMatch(/^must be one of pending, ok, /);
  });

  it("integration_id selects one of two integrations that linked the same Item", async () => {
    const other = (await world.api.integrate()).id;
    const { item_id } = await link();
    await link({ item_id, integration_id: other });
    const shown = await world.api.call(`GET /v1/items/${item_id}?integration_id=${integration}`);
    expect(shown.body.integration_id).toBe(integration);
    await world.api.call(`DELETE /v1/items/${item_id}?integration_id=${integration}`);
    expect((await world.api.call(`GET /v1/items/${item_id}?integration_id=${integration}`)).body.status).toBe(
      "unlinked",
    );
    expect((await world.api.call(`GET /v1/items/${item_id}?integration_id=${other}`)).body.status).toBe("pending");
  });
});

describe("a sync on demand", () => {
  const requested = async (item_id: string) => {
    const sql =
      "select requested, due_at <= now() as due from sync.subjects where integration_id = $1 and kind = 'item' and id = $2";
    return (await world.database.query(sql, [integration, item_id])).rows[0];
  };

  it("a requested sync without a body is due at once with all resources", async () => {
    const { item_id } = await link();
    await world.database.query("update sync.subjects set due_at = null, requested = '{}' where id = $1", [item_id]);
    const answer = await world.api.call(`POST /v1/items/${item_id}/sync`);
    expect([answer.status, answer.body]).toEqual([202, { item_id, due: true }]);
    expect(await requested(item_id)).toEqual({ requested: ["*"], due: true });
  });

  it("a requested sync reads the named resources, in full if requested", async () => {
    const { item_id } = await link();
    await world.database.query("update sync.subjects set due_at = null, requested = '{}' where id = $1", [item_id]);
    const body = { resources: ["transactions"], full: true };
    expect((await world.api.call(`POST /v1/items/${item_id}/sync`, { body })).status).toBe(202);
    expect(await requested(item_id)).toEqual({ requested: ["transactions:full"], due: true });
  });

  it("a requested sync of an unknown resource is refused with the known ones", async () => {
    const { item_id } = await link();
    const { status, body } = await world.api.call(`POST /v1/items/${item_id}/sync`, {
      body: { resources: ["transaction"] },
    });
    expect([status, body.error.code]).toEqual([400, "invalid_request"]);
    expect(body.error.fields["resources.0"]).toContain("transactions");
  });

  it("a requested sync of an Item that is not linked is 404", async () => {
    expect((await world.api.call("POST /v1/items/none/sync")).status).toBe(404);
  });
});

it("an Item's runs are listed newest first, page by page, with their results", async () => {
  const { item_id } = await link();
  const ids = Array.from({ length: 5 }, (_, index) => `0192f3a8-7d01-7c3e-8b2a-00000000000${index}`);
  const sql = `insert into sync.runs (id, integration_id, kind, subject_id, started_at, finished_at, outcome, webhooks, summary)
    select id, $2, 'item', $3, now(), now(), 'synced', 1, '{"pages":1}' from unnest($1::uuid[]) as t (id)`;
  await world.database.query(sql, [ids, integration, item_id]);
  const seen: string[] = [];
  let cursor = "";
  do {
    const { status, body } = await world.api.call(`GET /v1/items/${item_id}/runs?limit=2${cursor}`);
    expect(status).toBe(200);
    for (const run of body.data)
      expect(run).toMatchObject({ item_id, integration_id: integration, update_info: { pages: 1 } });
    seen.push(...body.data.map((run: { id: string }) => run.id));
    cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
  } while (cursor !== "");
  expect(seen).toEqual(ids.toReversed());
  expect((await world.api.call("GET /v1/items/none/runs")).status).toBe(404);
});

describe("deleting an Item", () => {
  const linkReal = async () => {
    const { items } = world.simulator.control.createItems({ count: 1 });
    const [made] = items;
    if (!made) throw new Error("no item was made");
    await link({ item_id: made.item_id, access_token: made.access_token });
    return made;
  };

  it("deleting an Item deletes its token and keeps its mirrored and journaled rows", async () => {
    const { item_id } = await link();
    const answer = await world.api.call(`DELETE /v1/items/${item_id}`);
    expect(answer.body).toEqual({ item_id, deleted: true, erased: false, removed_at_plaid: false });
    expect(await getItemSecret(world.database, world.vault, integration, item_id)).toBeNull();
    expect((await world.api.call(`GET /v1/items/${item_id}`)).body).toMatchObject({ status: "unlinked", due: false });
    expect((await world.api.call(`GET /v1/webhooks?item_id=${item_id}`)).body.data).toHaveLength(1);
  });

  it("deleting an Item with erase=true leaves nothing of it", async () => {
    const { item_id } = await link();
    const answer = await world.api.call(`DELETE /v1/items/${item_id}?erase=true`);
    expect(answer.body).toMatchObject({ erased: true });
    expect((await world.api.call(`GET /v1/items/${item_id}`)).status).toBe(404);
    expect((await world.api.call(`GET /v1/webhooks?item_id=${item_id}`)).body.data).toEqual([]);
  });

  it("deleting an Item with remove_at_plaid=true removes it at Plaid first, and can be repeated", async () => {
    const { item_id, access_token } = await linkReal();
    const first = await world.api.call(`DELETE /v1/items/${item_id}?remove_at_plaid=true`);
    expect(first.body).toMatchObject({ deleted: true, removed_at_plaid: true });
    await link({ item_id, access_token });
    const second = await world.api.call(`DELETE /v1/items/${item_id}?remove_at_plaid=true`);
    expect([second.status, second.body.removed_at_plaid]).toEqual([200, true]);
  });

  it("deleting an Item with remove_at_plaid=true changes nothing while Plaid cannot be reached", async () => {
    const gone = await startSimulator();
    await gone[Symbol.asyncDispose]();
    integration = (await world.api.integrate({ plaid_url: gone.url, verify: false })).id;
    const { item_id } = await link();
    const answer = await world.api.call(`DELETE /v1/items/${item_id}?remove_at_plaid=true`);
    expect([answer.status, answer.body.error.code]).toEqual([502, "plaid_unreachable"]);
    expect(await getItemSecret(world.database, world.vault, integration, item_id)).not.toBeNull();
  });

  it("deleting an unknown Item is 404, and a switch that is neither true nor false is refused", async () => {
    expect((await world.api.call("DELETE /v1/items/none")).status).toBe(404);
    const { body } = await world.api.call("DELETE /v1/items/none?erase=yes");
    expect(body.error.fields).toEqual({ erase: "must be true or false" });
  });
});

describe("checking an Item", () => {
  it("a check of an Item is requested with POST and shown with GET, with each column that differed", async () => {
    const { item_id } = await link();
    await markAll(world.database);
    expect((await world.api.call(`GET /v1/items/${item_id}/check`)).body.error.code).toBe("not_found");
    const started = await world.api.call(`POST /v1/items/${item_id}/check`, { body: { resources: ["transactions"] } });
    expect(started.status).toBe(202);
    expect(started.body).toMatchObject({
      item_id,
      status: "running",
      finished_at: null,
      resources: [],
      differences: [],
    });
    const { rows } = await world.database.query<{ requested: string[] }>(
      "select requested from sync.subjects where id = $1",
      [item_id],
    );
    expect(rows[0]?.requested).toEqual(["full_check", "transactions:full"]);
    const columns = [{ column: "amount", mirror: 12.5, plaid: 21.5 }];
    const found = { outcome: "differs", rows: 3, wrong: 1, may_be_new: 0, error_code: null };
    const row = {
      resource: "transactions",
      table: "transactions",
      key: "t1",
      difference: "differs",
      may_be_new: false,
    };
    await world.database.query("update sync.full_checks set finished_at = now(), result = $2 where item_id = $1", [
      item_id,
      JSON.stringify({ resources: { transactions: found }, differences: [{ ...row, columns }] }),
    ]);
    const shown = await world.api.call(`GET /v1/items/${item_id}/check`);
    expect(shown.body).toMatchObject({ status: "differs", wrong: 1, differences: [{ ...row, columns }] });
    const billed = await world.api.call(`POST /v1/items/${item_id}/check`, { body: { resources: ["balances"] } });
    expect([billed.status, billed.body.error.code]).toEqual([409, "not_enabled"]);
    expect((await world.api.call("POST /v1/items/none/check", { body: {} })).status).toBe(404);
  });
});
