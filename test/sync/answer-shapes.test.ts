/** Shapes of one answer: rows inside arrays of rows, and answers of several endpoints. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ITEM } from "../../src/resources/subjects.ts";
import { text, type Resource } from "../../src/resources/types.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { openPlaid, type Body, type Plaid } from "./shape-support.ts";

let world: World;
let plaid: Plaid;
beforeAll(async () => {
  world = await startWorld();
  plaid = await openPlaid(world, {
    test_owners:
      "item_id text, account_id text, owner_id text, name text, primary key (integration_id, item_id, account_id, owner_id)",
    test_numbers: "item_id text, number text, primary key (integration_id, item_id, number)",
    test_names: "item_id text, name text, primary key (integration_id, item_id, name)",
  });
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(() => plaid.asked.splice(0));

describe("rows inside arrays of rows", () => {
  const owners: Resource = {
    name: "test_owners",
    touchedBy: [],
    subject: ITEM,
    fetch: { kind: "snapshot", endpoint: "/owners/get" },
    tables: [
      {
        name: "test_owners",
        row: "an owner of an account",
        rows: [{ at: "accounts[].owners", with: ["account_id"] }],
        key: ["account_id", "owner_id"],
        columns: [text("name")],
      },
    ],
  };
  const account = (account_id: string, ...names: string[]) => ({
    account_id,
    owners: names.map((name) => ({ owner_id: name.toLowerCase(), name })),
  });

  it("a row inside the array of another row has that row's id in its key, and is removed with it", async () => {
    const reader = await plaid.open();
    plaid.answer = () => ({ accounts: [account("a", "Ann", "Bob"), account("b", "Ann"), account("c")] });
    expect((await plaid.sync(reader, owners)).changes).toEqual({ test_owners: { added: 3, modified: 0, removed: 0 } });
    expect(await plaid.current(reader, "test_owners", "account_id, owner_id, raw ->> 'account_id' as of")).toEqual([
      { account_id: "a", owner_id: "ann", of: "a" },
      { account_id: "a", owner_id: "bob", of: "a" },
      { account_id: "b", owner_id: "ann", of: "b" },
    ]);
    plaid.answer = () => ({ accounts: [account("a", "Bob"), account("b", "Ann")] });
    expect((await plaid.sync(reader, owners)).changes).toEqual({ test_owners: { added: 0, modified: 0, removed: 1 } });
    plaid.answer = () => ({ accounts: [] });
    expect((await plaid.sync(reader, owners)).changes).toEqual({ test_owners: { added: 0, modified: 0, removed: 2 } });
  });

  it("of a row that several arrays hold, the last one counts", async () => {
    const reader = await plaid.open();
    const twice = (name: string) => ({ account_id: "a", owners: [{ owner_id: "x", name }] });
    plaid.answer = () => ({ accounts: [twice("first"), twice("second"), twice("last")] });
    await plaid.sync(reader, owners);
    expect(await plaid.current(reader, "test_owners", "name")).toEqual([{ name: "last" }]);
  });

  it.each<[string, Body]>([
    ["the array around them", {}],
    ["their own array in one of the rows", { accounts: [account("a", "Ann"), { account_id: "b" }] }],
    ["the rows around them", { accounts: ["a"] }],
  ])("an answer that lacks %s is unreadable", async (_what, body) => {
    const reader = await plaid.open();
    plaid.answer = () => ({ accounts: [account("a", "Ann")] });
    await plaid.sync(reader, owners);
    plaid.answer = () => body;
    expect(await plaid.attempt(reader, owners)).toMatchObject({ failure: { errorCode: "UNREADABLE_ANSWER" } });
  });
});

describe("a resource of several endpoints", () => {
  const identity: Resource = {
    name: "test_identity",
    touchedBy: [],
    subject: ITEM,
    fetch: {
      kind: "snapshot",
      endpoint: "/auth/get",
      and: { identity: { endpoint: "/identity/get", body: () => ({ options: { more: true } }) } },
      none: ["NO_AUTH_ACCOUNTS"],
    },
    tables: [
      {
        name: "test_numbers",
        row: "",
        rows: [{ at: "numbers.ach" }, { at: "numbers.eft" }],
        key: ["number"],
        columns: [],
      },
      { name: "test_names", row: "", rows: [{ at: "identity.people" }], key: ["name"], columns: [] },
    ],
  };
  const said = (path: string): Body =>
    path === "/auth/get"
      ? { numbers: { ach: [{ number: "1" }], eft: [{ number: "2" }] } }
      : { people: [{ name: "Ann" }], accounts: [] };

  it("one reading of several endpoints puts the rows of each answer into their table", async () => {
    const reader = await plaid.open();
    plaid.answer = said;
    await plaid.sync(reader, identity);
    expect(plaid.asked.map(({ path, body }) => [path, body["access_token"], body["options"]])).toEqual([
      ["/auth/get", "access-token", undefined],
      ["/identity/get", "access-token", { more: true }],
    ]);
    expect(await plaid.current(reader, "test_numbers", "number")).toEqual([{ number: "1" }, { number: "2" }]);
    expect(await plaid.current(reader, "test_names", "name")).toEqual([{ name: "Ann" }]);
  });

  it("a reading of several endpoints of which one fails removes nothing", async () => {
    const reader = await plaid.open();
    plaid.answer = said;
    await plaid.sync(reader, identity);
    const error = { error_type: "ITEM_ERROR", error_code: "PRODUCT_NOT_READY" };
    plaid.answer = (path) => (path === "/auth/get" ? { numbers: { ach: [], eft: [] } } : { status: 400, error });
    expect(await plaid.attempt(reader, identity)).toMatchObject({ failure: { class: "trigger" } });
    expect(await plaid.current(reader, "test_numbers", "number")).toHaveLength(2);
  });

  it("a reading of several endpoints of which one answers with an empty object is unreadable", async () => {
    const reader = await plaid.open();
    plaid.answer = said;
    await plaid.sync(reader, identity);
    for (const empty of ["/auth/get", "/identity/get"]) {
      plaid.answer = (path) => (path === empty ? {} : said(path));
      expect(await plaid.attempt(reader, identity)).toMatchObject({ failure: { errorCode: "UNREADABLE_ANSWER" } });
    }
    const error = { error_type: "ITEM_ERROR", error_code: "NO_AUTH_ACCOUNTS" };
    plaid.answer = (path) => (path === "/auth/get" ? said(path) : { status: 400, error });
    expect(await plaid.attempt(reader, identity)).toMatchObject({ failure: { class: "product_unavailable" } });
  });

  it("every table of a resource is empty after Plaid says that there are no accounts for it", async () => {
    const reader = await plaid.open();
    plaid.answer = said;
    await plaid.sync(reader, identity);
    plaid.answer = () => ({ status: 400, error: { error_type: "ITEM_ERROR", error_code: "NO_AUTH_ACCOUNTS" } });
    expect((await plaid.sync(reader, identity)).changes).toEqual({
      test_numbers: { added: 0, modified: 0, removed: 2 },
      test_names: { added: 0, modified: 0, removed: 1 },
    });
  });
});
