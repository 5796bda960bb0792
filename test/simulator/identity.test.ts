/** Account numbers, owners and statements: what is true of them beside what all products have in common, and Plaid's schema. */
import { createHash } from "node:crypto";
import { Products } from "plaid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { post, refusal, sdkFor } from "./support/client.ts";
import { openPlaidSchema, type PlaidSchema } from "./support/plaid-schema.ts";
import { OPTIONS } from "./support/product-cases.ts";

const schema = openPlaidSchema();
const PRODUCTS = ["auth", "identity", "statements"];
let simulator: Simulator;
let inbox: Inbox;
beforeAll(async () => {
  inbox = await openInbox();
  simulator = await startSimulator({ ...OPTIONS, seed: "numbers" });
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

type ItemRequest = Parameters<Simulator["control"]["createItems"]>[0];

function makeItem(request: ItemRequest = {}) {
  const [item] = simulator.control.createItems({ products: PRODUCTS, webhook: inbox.url, ...request }).items;
  return item ?? { item_id: "", access_token: "" };
}

const numbersOf = async (access_token: string) => (await sdkFor(simulator).authGet({ access_token })).data.numbers;

/** The rest of an IBAN as a number, divided by 97 (ISO 13616): 1 for one that is written correctly. */
function checkOf(iban: string): number {
  const digits = [...(iban.slice(4) + iban.slice(0, 4))].map((sign) => Number.parseInt(sign, 36)).join("");
  return [...digits].reduce((rest, digit) => (rest * 10 + Number(digit)) % 97, 0);
}

test("user_good has the account numbers of Plaid's Sandbox, in the ACH network only", async () => {
  const { access_token } = makeItem({ user: "user_good", institution_id: "ins_109508" });
  const { ach, ...others } = await numbersOf(access_token);
  expect(ach.slice(0, 2)).toMatchObject([
    { account: "1111222233330000", routing: "011401533", wire_routing: "021000021" },
    { account: "1111222233331111", routing: "011401533", wire_routing: "021000021" },
  ]);
  expect(others).toEqual({ eft: [], international: [], bacs: [] });
});

test("accounts in Canada have EFT numbers, and those in the United Kingdom a valid IBAN that their BACS number is part of", async () => {
  const canadian = await numbersOf(makeItem({ institution_id: "ins_900005" }).access_token);
  expect(canadian).toMatchObject({ ach: [], international: [], bacs: [] });
  expect(canadian.eft[0]).toMatchObject({ institution: "021", branch: expect.stringMatching(/^\d{5}$/) });
  const british = await numbersOf(makeItem({ institution_id: "ins_900006" }).access_token);
  expect(british).toMatchObject({ ach: [], eft: [] });
  for (const { account_id, iban } of british.international) {
    const bacs = british.bacs.find((one) => one.account_id === account_id);
    expect(iban.slice(8)).toBe(`${bacs?.sort_code}${bacs?.account}`);
    expect(checkOf(iban)).toBe(1);
  }
});

test("an account whose verification expired has no numbers until it is verified, and a webhook announces both", async () => {
  const { item_id, access_token } = makeItem();
  const [one] = (await numbersOf(access_token)).ach.concat();
  const account_id = one?.account_id ?? simulator.control.accounts(item_id).accounts[0]?.["account_id"];
  const count = async () => JSON.stringify(await numbersOf(access_token)).split(String(account_id)).length - 1;
  const before = await count();
  expect(before).toBeGreaterThan(0);
  inbox.arrived.length = 0;
  const set = (verification_status: string, id: unknown = account_id) =>
    post(simulator, "/sandbox/item/set_verification_status", { access_token, account_id: id, verification_status });
  await set("verification_expired");
  expect(await count()).toBe(0);
  const shown = () => simulator.control.accounts(item_id).accounts.find((each) => each["account_id"] === account_id);
  expect(shown()).toMatchObject({ verification_status: "verification_expired" });
  await set("automatically_verified");
  expect(await count()).toBe(before);
  await simulator.control.idle();
  expect(inbox.codes()).toEqual(["AUTH/VERIFICATION_EXPIRED", "AUTH/AUTOMATICALLY_VERIFIED"]);
  expect(inbox.arrived[0]?.body).toMatchObject({ item_id, account_id });
  expect((await set("unsent")).body).toMatchObject({ error_code: "INVALID_FIELD" });
  expect((await set("verification_expired", "another")).body).toMatchObject({ error_code: "INVALID_ACCOUNT_ID" });
});

test("user_custom has the numbers and the owner of its configuration, in the networks that it names", async () => {
  const account = { type: "depository", subtype: "checking" };
  const override_accounts = [
    {
      ...account,
      numbers: { account: "1357", ach_routing: "322271627", eft_institution: "002", eft_branch: "00012" },
      identity: { names: ["Ada"], emails: [{ data: "ada@example.com" }], addresses: [{ data: { city: "Perth" } }] },
    },
    { ...account, numbers: { international_bic: "REVOGB21", international_iban: "GB82WEST12345698765432" } },
    account,
  ];
  const sdk = sdkFor(simulator);
  const { public_token } = (
    await sdk.sandboxPublicTokenCreate({
      institution_id: "ins_109508",
      initial_products: [Products.Auth, Products.Identity],
      options: { override_username: "user_custom", override_password: JSON.stringify({ override_accounts }) },
    })
  ).data;
  const { access_token } = (await sdk.itemPublicTokenExchange({ public_token })).data;
  await simulator.control.advanceClock({ advance_s: 10 });
  const { ach, eft, international, bacs } = await numbersOf(access_token);
  expect(ach).toHaveLength(2);
  expect(ach[0]).toMatchObject({ account: "1357", routing: "322271627" });
  expect(eft).toMatchObject([{ account: "1357", institution: "002", branch: "00012" }]);
  expect(international).toMatchObject([{ bic: "REVOGB21", iban: "GB82WEST12345698765432" }]);
  expect(bacs).toEqual([]);
  const { accounts } = (await sdk.identityGet({ access_token })).data;
  expect(accounts[0]?.owners).toMatchObject([
    { names: ["Ada"], emails: [{ data: "ada@example.com", primary: false }], phone_numbers: [] },
  ]);
  expect(accounts[2]?.owners[0]?.names).toEqual(["Alberta Bobbeth Charleson"]);
});

test("a webhook of account numbers or owners names exactly the accounts that changed, and what did", async () => {
  const { item_id } = makeItem({ user: "user_good" });
  for (const name of ["auth", "identity"] as const) {
    for (const request of [{ modify: 2 }, { remove: 1, add: 1 }]) {
      const rows = () => {
        const [part] = Object.values(simulator.control.truth(item_id, name)) as [
          Record<string, { account_id: string }[]>,
        ];
        const all = Object.values(part).flat();
        return new Map(all.map((row) => [row.account_id, JSON.stringify(row)]));
      };
      inbox.arrived.length = 0;
      const before = rows();
      simulator.control.change(item_id, name, request);
      const after = rows();
      await simulator.control.idle();
      const body = inbox.arrived[0]?.body ?? {};
      const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
        (id) => before.get(id) !== after.get(id),
      );
      const named = Object.keys((body[`account_ids_with_updated_${name}`] ?? {}) as object);
      const added = (body["account_ids_with_new_auth"] ?? []) as string[];
      expect([...new Set([...named, ...added])].toSorted()).toEqual(expect.arrayContaining(changed.toSorted()));
      expect(named.length + added.length).toBeGreaterThan(0);
    }
  }
});

test("a refresh of statements brings those of the months that Plaid lacked, once, and a webhook says when it is done", async () => {
  const { item_id, access_token } = makeItem({ user: "user_good" });
  const months = () => {
    const { accounts } = simulator.control.truth(item_id, "statements") as {
      accounts: { statements: { year: number; month: number }[] }[];
    };
    return accounts.map((one) => one.statements.filter(({ year }) => year === 2024).map(({ month }) => month));
  };
  const refresh = (start_date: string, end_date: string) =>
    post(simulator, "/statements/refresh", { access_token, start_date, end_date });
  expect(months().flat()).toEqual([]);
  inbox.arrived.length = 0;
  for (let times = 0; times < 2; times += 1) {
    expect((await refresh("2024-02-10", "2024-04-01")).status).toBe(200);
    await simulator.control.advanceClock({ advance_s: 10 });
    expect(new Set(months().map(String))).toEqual(new Set(["4,3,2"]));
  }
  expect(inbox.codes()).toEqual(Array(2).fill("STATEMENTS/STATEMENTS_REFRESH_COMPLETE"));
  expect(inbox.arrived[0]?.body).toMatchObject({ item_id, result: "SUCCESS" });
  expect((await refresh("2024-02-10", "2024-01-01")).body).toMatchObject({ error_code: "INVALID_FIELD" });
  expect((await refresh("2021-01-01", "2024-01-01")).body).toMatchObject({ error_code: "INVALID_FIELD" });
  expect((await refresh("yesterday", "2024-01-01")).body).toMatchObject({ error_code: "INVALID_FIELD" });
});

test("the file of a statement is a PDF whose table finds each object, always the same, with its hash in a header", async () => {
  const { item_id, access_token } = makeItem({ user: "user_good" });
  const sdk = sdkFor(simulator);
  const { accounts } = (await sdk.statementsList({ access_token })).data;
  const statement_id = accounts[0]?.statements[0]?.statement_id ?? "";
  const load = () => sdk.statementsDownload({ access_token, statement_id }, { responseType: "arraybuffer" });
  const { data, headers } = await load();
  const bytes = Buffer.from(data as unknown as ArrayBuffer);
  expect(headers).toMatchObject({
    "content-type": "application/pdf",
    "plaid-content-hash": createHash("sha256").update(bytes).digest("hex"),
  });
  simulator.control.change(item_id, "statements", { add: 1 });
  expect(Buffer.from((await load()).data as unknown as ArrayBuffer).equals(bytes)).toBe(true);
  const text = bytes.toString("latin1");
  expect(text).toContain(statement_id);
  expect(text.endsWith("%%EOF\n")).toBe(true);
  const table = Number(/startxref\n(\d+)/.exec(text)?.[1]);
  expect(text.slice(table, table + 4)).toBe("xref");
  const places = [...text.slice(table).matchAll(/^(\d{10}) 00000 n $/gm)].map(([, place]) => Number(place));
  places.forEach((place, n) => expect(text.slice(place)).toMatch(new RegExp(`^${n + 1} 0 obj\n`)));
  expect(places).toHaveLength(5);
  const [, length, stream = ""] = /\/Length (\d+) >>\nstream\n([^]*?)\nendstream/.exec(text) ?? [];
  expect(stream.length).toBe(Number(length));
  const foreign = makeItem({ user: "user_good" });
  expect(await refusal(sdk.statementsDownload({ access_token: foreign.access_token, statement_id }))).toMatchObject({
    error_code: "INVALID_STATEMENT_ID",
  });
});

describe.skipIf(schema === null)("judged by Plaid's schema", () => {
  const judge = schema as PlaidSchema;

  test("answers about numbers, owners and statements match Plaid's schema for all kinds of items, after every change", async () => {
    inbox.arrived.length = 0;
    const sdk = sdkFor(simulator);
    for (const institution_id of ["ins_109508", "ins_127287", "ins_900005", "ins_900006"]) {
      for (const user of ["user_good", "controlled"] as const) {
        const { item_id, access_token } = makeItem({ institution_id, user });
        for (const request of [{}, { modify: 3 }, { remove: 2 }, { add: 2, modify: 1 }]) {
          for (const name of ["auth", "identity", "statements"] as const)
            simulator.control.change(item_id, name, request);
          const numbers = (await sdk.authGet({ access_token })).data;
          expect(judge.answerFaults("/auth/get", numbers)).toEqual([]);
          for (const row of numbers.numbers.ach)
            expect(judge.objectFaults("NumbersACH", row as unknown as Record<string, unknown>)).toEqual([]);
          const owned = (await sdk.identityGet({ access_token })).data;
          expect(judge.answerFaults("/identity/get", owned)).toEqual([]);
          for (const owner of owned.accounts.flatMap(({ owners }) => owners))
            expect(judge.objectFaults("Owner", owner as unknown as Record<string, unknown>)).toEqual([]);
          expect(judge.answerFaults("/statements/list", (await sdk.statementsList({ access_token })).data)).toEqual([]);
        }
      }
    }
    await simulator.control.idle();
    expect(new Set(inbox.codes())).toEqual(
      new Set(["AUTH/DEFAULT_UPDATE", "IDENTITY/DEFAULT_UPDATE", "STATEMENTS/STATEMENTS_REFRESH_COMPLETE"]),
    );
    expect(inbox.arrived.flatMap(({ body }) => judge.webhookFaults(body))).toEqual([]);
  });
});
