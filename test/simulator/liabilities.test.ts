/** Liabilities: three kinds in one answer, what is always true of them, and what Plaid's schema says of them. */
import { array, assert as assertProperty, asyncProperty, constantFrom, nat, record } from "fast-check";
import type { LiabilitiesObject } from "plaid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frozenClock, startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { sdkFor } from "./support/client.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { openPlaidSchema, type PlaidSchema } from "./support/plaid-schema.ts";

const schema = openPlaidSchema();
let simulator: Simulator;
let inbox: Inbox;
beforeAll(async () => {
  inbox = await openInbox();
  simulator = await startSimulator({ seed: "owing", clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: false });
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

/** The last two are newer than Plaid's document: the types of its SDK have them. */
const SCHEMAS = {
  credit: "CreditCardLiability",
  mortgage: "MortgageLiability",
  student: "StudentLoan",
  loan: "LoanLiability",
  line_of_credit: "LineOfCreditLiability",
} as const;
const KINDS = Object.keys(SCHEMAS) as (keyof typeof SCHEMAS)[];
const KIND_OF: Record<string, string> = {
  "credit card": "credit",
  paypal: "credit",
  mortgage: "mortgage",
  student: "student",
  auto: "loan",
  "line of credit": "line_of_credit",
};

type ItemRequest = Parameters<Simulator["control"]["createItems"]>[0];
type Row = Record<string, unknown> & { account_id: string };

function makeItem(request: ItemRequest = {}) {
  const [item] = simulator.control.createItems({ products: ["liabilities"], ...request }).items;
  return item ?? { item_id: "", access_token: "" };
}

const read = async (access_token: string) => (await sdkFor(simulator).liabilitiesGet({ access_token })).data;
const truth = (itemId: string) =>
  simulator.control.truth(itemId, "liabilities") as unknown as { liabilities: LiabilitiesObject };
const rowsOf = (object: LiabilitiesObject) =>
  KINDS.flatMap((kind) => (object[kind] ?? []).map((row) => ({ kind, row: { ...row } as unknown as Row })));

const users = constantFrom("controlled" as const, "user_good" as const);
const some = nat({ max: 3 });
const changes = array(record({ add: some, modify: some, remove: some }), { maxLength: 6 });

/** Runs `check` on items of every sort after every change. */
async function everywhere(check: (itemId: string, accessToken: string) => unknown): Promise<void> {
  await assertProperty(
    asyncProperty(users, changes, async (user, requests) => {
      const { item_id, access_token } = makeItem({ user });
      simulator.control.addAccount(item_id, { subtype: "auto" });
      simulator.control.addAccount(item_id, { subtype: "line of credit" });
      await check(item_id, access_token);
      for (const request of requests) {
        simulator.control.change(item_id, "liabilities", request);
        await check(item_id, access_token);
      }
    }),
    { numRuns: 40 },
  );
}

test("after any changes the liabilities answer equals the truth, and an account has at most one liability, of its own kind", async () => {
  await everywhere(async (itemId, token) => {
    const { accounts, liabilities } = await read(token);
    expect({ liabilities }).toEqual(truth(itemId));
    const rows = rowsOf(liabilities);
    expect(new Set(rows.map(({ row }) => row.account_id)).size).toBe(rows.length);
    for (const { kind, row } of rows) {
      const account = accounts.find(({ account_id }) => account_id === row.account_id);
      expect(KIND_OF[account?.subtype ?? ""]).toBe(kind);
    }
    for (const kind of KINDS) expect(liabilities[kind]?.length).not.toBe(0);
  });
});

describe.skipIf(schema === null)("judged by Plaid's schema", () => {
  const judge = schema as PlaidSchema;

  test("answers of the product for all kinds of items match Plaid's schema after every change", async () => {
    await everywhere(async (_, token) => {
      const answer = await read(token);
      expect(judge.answerFaults("/liabilities/get", answer)).toEqual([]);
      for (const { kind, row } of rowsOf(answer.liabilities))
        expect(judge.objectFaults(SCHEMAS[kind], row)).toEqual([]);
    });
  });

  test("the webhooks of changed liabilities match Plaid's schema, for items of a Plaid user and others", async () => {
    inbox.arrived.length = 0;
    for (const user_id of ["usr_9nSp2KuZ2x4JDw", "my user", null]) {
      const { item_id } = makeItem({
        webhook: inbox.url,
        user: "user_good",
        user_id,
        products: ["liabilities", "investments"],
      });
      for (const request of [{ modify: 2 }, { remove: 2 }, { add: 1 }]) {
        simulator.control.change(item_id, "liabilities", request);
        simulator.control.change(item_id, "holdings", request);
      }
    }
    await simulator.control.idle();
    expect(inbox.arrived).toHaveLength(18);
    expect(inbox.arrived.flatMap(({ body }) => judge.webhookFaults(body))).toEqual([]);
    expect(inbox.arrived.filter(({ body }) => body["user_id"] !== undefined)).toHaveLength(6);
  });
});

test("the webhook of liabilities names the accounts with new terms, and exactly the changed fields of the others", async () => {
  const { item_id } = makeItem({ webhook: inbox.url, user: "user_good" });
  const rows = () => new Map(rowsOf(truth(item_id).liabilities).map(({ row }) => [row.account_id, row]));
  for (const request of [{ modify: 2 }, { remove: 2 }, { modify: 1, remove: 1 }, { add: 2 }, { add: 1, modify: 1 }]) {
    inbox.arrived.length = 0;
    const before = rows();
    const { added, modified, removed } = simulator.control.change(item_id, "liabilities", request);
    const after = rows();
    await simulator.control.idle();
    const [{ body }] = inbox.arrived as [(typeof inbox.arrived)[number]];
    expect(body["account_ids_with_new_liabilities"]).toEqual(added);
    expect(added.toSorted()).toEqual([...after.keys()].filter((id) => !before.has(id)).toSorted());
    const updated = body["account_ids_with_updated_liabilities"] as Record<string, string[]>;
    expect(updated).toEqual({ ...modified, ...removed });
    expect(Object.keys(removed).toSorted()).toEqual([...before.keys()].filter((id) => !after.has(id)).toSorted());
    for (const [id, fields] of Object.entries(modified)) {
      const [old, now] = [before.get(id) ?? {}, after.get(id) ?? {}] as [
        Record<string, unknown>,
        Record<string, unknown>,
      ];
      const differing = Object.keys(now).filter((field) => JSON.stringify(now[field]) !== JSON.stringify(old[field]));
      expect(fields.toSorted()).toEqual(differing.toSorted());
      expect(fields.length).toBeGreaterThan(0);
    }
  }
});

test("user_good owes on two cards, a mortgage and a student loan, and its other accounts owe nothing", async () => {
  const { accounts, liabilities } = await read(makeItem({ user: "user_good" }).access_token);
  expect(KINDS.map((kind) => liabilities[kind]?.length)).toEqual([2, 1, 1, undefined, undefined]);
  expect(accounts).toHaveLength(12);
  expect(liabilities.mortgage?.[0]?.property_address).toMatchObject({ country: expect.anything() });
});

test("missing kinds of liabilities are null, and accounts without terms are shown", async () => {
  const { items } = simulator.control.createItems({ count: 300, products: ["liabilities"] });
  const answers = await Promise.all(items.map(({ access_token }) => read(access_token)));
  // A line of credit is opened through the control only.
  expect(answers.every(({ liabilities }) => liabilities.line_of_credit === null)).toBe(true);
  for (const kind of KINDS.filter((one) => one !== "line_of_credit")) {
    expect(answers.some(({ liabilities }) => liabilities[kind] === null)).toBe(true);
    expect(answers.some(({ liabilities }) => liabilities[kind] !== null)).toBe(true);
  }
  const having = (answer: (typeof answers)[number]) =>
    new Set(rowsOf(answer.liabilities).map(({ row }) => row.account_id));
  const untold = answers.filter((answer) =>
    answer.accounts.some(({ account_id, subtype }) => KIND_OF[subtype ?? ""] && !having(answer).has(account_id)),
  );
  expect(untold.length).toBeGreaterThan(0);
  const all = answers.flatMap(({ liabilities }) => liabilities);
  expect(all.some(({ credit }) => credit?.some(({ aprs }) => aprs.length === 0))).toBe(true);
  expect(all.some(({ credit }) => credit?.some(({ aprs }) => aprs.length > 1))).toBe(true);
  expect(all.some(({ student }) => student?.some(({ pslf_status }) => pslf_status.payments_made === null))).toBe(true);
  expect(all.some(({ mortgage }) => mortgage?.some(({ property_address }) => property_address.street === null))).toBe(
    true,
  );
});
