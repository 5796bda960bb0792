import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorld, type Answer, type Json, type World } from "../../support/world/index.ts";
import { dispatch, record, updated } from "../event-support.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const changes = (query = ""): Promise<Answer> => world.api.call(`GET /v1/changes?${query}`);
const here = async (): Promise<string> => (await changes("cursor=now")).body.next_cursor;
const happen = async (itemId: string, ids: string[], table = "transactions"): Promise<void> => {
  const added = ids.map((id) => ({ transaction_id: id, account_id: id }));
  const data = { run_id: "run_1", part: 1, parts: 1, counts: {}, added, modified: [], removed: [] };
  await record(world, updated(itemId, { type: `${table}.changed`, data, history: true }));
  await dispatch(world);
};

describe("fetching changes", () => {
  it("fetching changes yields each row once in order and a cursor even when there are none", async () => {
    const begin = await here();
    expect((await changes(`cursor=${begin}`)).body).toEqual({ data: [], has_more: false, next_cursor: begin });
    await happen("one", ["a", "b", "c"]);
    await happen("one", ["acc"], "accounts");
    const seen: string[] = [];
    let cursor = begin;
    for (const size of [2, 2, 0]) {
      const { body } = await changes(`limit=2&cursor=${cursor}`);
      expect([body.data.length, body.has_more]).toEqual([size, size > 0]);
      seen.push(...body.data.map(({ change, resource, row }: Json) => `${change} ${resource} ${row.transaction_id}`));
      cursor = body.next_cursor;
    }
    expect(seen).toEqual([
      "added transactions a",
      "added transactions b",
      "added transactions c",
      "added accounts acc",
    ]);
    const found = await changes(`cursor=${begin}&resource=accounts,holdings&item_id=one`);
    expect(found.body.data).toMatchObject([
      { resource: "accounts", key: { item_id: "one", account_id: "acc" }, history: true },
    ]);
    expect((await changes(`cursor=${begin}&integration_id=svi_other`)).body.data).toEqual([]);
    expect((await changes(`cursor=${begin}&user_id=nobody`)).body.data).toEqual([]);
  });

  it("a request that waits for changes is answered as soon as one matches", async () => {
    const begin = await here();
    const answer = changes(`cursor=${begin}&wait_s=30&resource=transactions&item_id=awaited`);
    await happen("another", ["x"]);
    await happen("awaited", ["y"]);
    expect((await answer).body.data.map(({ item_id }: Json) => item_id)).toEqual(["awaited"]);
  });

  it("fetching changes refuses what it cannot use, and names the field", async () => {
    const refused: [query: string, field: string, says: string][] = [
      ["cursor=W10", "cursor", "next_cursor"],
      [`cursor=${(await world.api.call("GET /v1/events?cursor=now")).body.next_cursor}`, "cursor", "next_cursor"],
      ["resource=items", "resource", "changed_at"],
      ["resource=transaction", "resource", "did you mean transactions"],
      ["resource=accounts,,", "resource", "commas"],
      ["wait_s=31", "wait_s", "30"],
      ["limit=501", "limit", "500"],
      ["history=true", "history", "not a known query parameter"],
    ];
    for (const [query, field, says] of refused) {
      const { status, body } = await changes(query);
      expect([query, status, body.error.fields]).toEqual([query, 400, { [field]: expect.stringContaining(says) }]);
    }
  });

  it("the list of tables has the key of each, and says of one without changes what to use instead", async () => {
    const { data } = (await world.api.call("GET /v1/changes/resources")).body;
    const of = (name: string): Json => data.find(({ resource }: Json) => resource === name);
    expect(of("holdings")).toEqual({
      resource: "holdings",
      key: ["item_id", "account_id", "security_id"],
      event: "holdings.changed",
      not_fed: null,
    });
    expect(of("items")).toMatchObject({
      key: ["item_id"],
      event: null,
      not_fed: expect.stringContaining("item.updated"),
    });
    expect(of("asset_report_transactions")).toMatchObject({
      not_fed: expect.stringContaining("asset_report_accounts"),
    });
  });

  it("a cursor behind which changes are no longer kept is answered 410 with a cursor to begin anew", async () => {
    const begin = await here();
    await happen("one", ["a"]);
    await world.database.query(
      "insert into events.forgotten (position, events) select max(position), 1 from events.outbox",
    );
    const { status, body } = await changes(`cursor=${begin}`);
    expect([status, body.error.code]).toEqual([410, "cursor_expired"]);
    expect(body.error.message).toContain(`keep the cursor ${await here()}`);
  });
});
