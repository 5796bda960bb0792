/** The Sandbox's `user_custom`: accounts, transactions and products follow the configuration that is its password. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PlaidApi, Products } from "plaid";
import { frozenClock, startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { refusal, sdkFor } from "./support/client.ts";

let simulator: Simulator;
let inbox: Inbox;
let sdk: PlaidApi;
beforeAll(async () => {
  inbox = await openInbox();
  simulator = await startSimulator({ seed: "custom", clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: false });
  sdk = sdkFor(simulator);
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
});

async function linked(configuration: unknown, products = ["transactions"]): Promise<string> {
  const { public_token } = (await create(configuration, products)).data;
  const { access_token } = (await sdk.itemPublicTokenExchange({ public_token })).data;
  await simulator.control.advanceClock({ advance_s: 10 });
  return access_token;
}

const create = (configuration: unknown, products = ["transactions"]) =>
  sdk.sandboxPublicTokenCreate({
    institution_id: "ins_109508",
    initial_products: products as Products[],
    options: {
      webhook: inbox.url,
      override_username: "user_custom",
      override_password: typeof configuration === "string" ? configuration : JSON.stringify(configuration),
    },
  });

const all = async (access_token: string) =>
  (await sdk.transactionsSync({ access_token, count: 500 })).data.added.toSorted((a, b) => (a.date < b.date ? -1 : 1));

const CHECKING = { type: "depository", subtype: "checking" };

it("accounts of user_custom have the type, names, mask and balances of their configuration", async () => {
  const access_token = await linked({
    override_accounts: [
      {
        ...CHECKING,
        starting_balance: 1203.42,
        meta: { name: "Joint Checking", official_name: "Plaid Joint Checking Account" },
        numbers: { account: "1111222233335555" },
        transactions: [],
      },
      {
        type: "credit",
        subtype: "credit card",
        starting_balance: 120.5,
        meta: { limit: 2000, mask: "" },
        currency: "EUR",
      },
      { type: "investment", subtype: "529", starting_balance: 77, force_available_balance: 13.5, identity: null },
      { ...CHECKING, has_null_available_balance: true, transactions: [null] },
    ],
  });
  const { accounts } = (await sdk.accountsGet({ access_token })).data;
  expect(
    accounts.map(({ name, official_name, mask, type, subtype }) => [name, official_name, mask, type, subtype]),
  ).toEqual([
    ["Joint Checking", "Plaid Joint Checking Account", "5555", "depository", "checking"],
    ["Plaid Credit Card", null, null, "credit", "credit card"],
    ["Plaid 529", null, expect.stringMatching(/^\d{4}$/), "investment", "529"],
    ["Plaid Checking", null, expect.stringMatching(/^\d{4}$/), "depository", "checking"],
  ]);
  expect(accounts.slice(0, 3).map(({ balances }) => balances)).toMatchObject([
    { current: 1203.42, available: 1203.42, limit: null, iso_currency_code: "USD" },
    { current: 120.5, available: 1879.5, limit: 2000, iso_currency_code: "EUR" },
    { current: 77, available: 13.5, limit: null },
  ]);
  expect(accounts[3]?.balances.available).toBeNull();
});

it("transactions of user_custom are those of the configuration, and a later one posts on its day with webhooks", async () => {
  inbox.arrived.length = 0;
  const access_token = await linked({
    override_accounts: [
      {
        ...CHECKING,
        transactions: [
          { date_transacted: "2026-03-01", date_posted: "2026-03-03", amount: 12.34, description: "BUS FARE" },
          {
            date_transacted: "2026-03-02",
            date_posted: "2026-03-02",
            amount: -500,
            description: "PAY",
            currency: "CAD",
          },
          { date_transacted: "2026-03-06", date_posted: "2026-03-09", amount: 80, description: "HOTEL" },
          { date_transacted: "2024-01-01", date_posted: "2024-01-01", amount: 1, description: "BEFORE THE HISTORY" },
        ],
        inflow_model: {
          type: "monthly-income",
          income_amount: 2000,
          payment_day_of_month: 1,
          transaction_name: "WAGES",
        },
      },
      { type: "depository", subtype: "savings", transactions: [] },
    ],
  });
  const first = await all(access_token);
  expect(
    first.map((row) => [row.name, row.amount, row.date, row.authorized_date, row.pending, row.iso_currency_code]),
  ).toEqual([
    ["WAGES", -2000, "2026-01-01", "2026-01-01", false, "USD"],
    ["WAGES", -2000, "2026-02-01", "2026-02-01", false, "USD"],
    ["WAGES", -2000, "2026-03-01", "2026-03-01", false, "USD"],
    ["PAY", -500, "2026-03-02", "2026-03-02", false, "CAD"],
    ["BUS FARE", 12.34, "2026-03-03", "2026-03-01", false, "USD"],
    ["HOTEL", 80, "2026-03-06", "2026-03-06", true, "USD"],
  ]);
  await simulator.control.advanceClock({ advance_s: 2 * 86_400 });
  const later = await all(access_token);
  expect(later.at(-1)).toMatchObject({ name: "HOTEL", amount: 80, date: "2026-03-09", pending: false });
  expect(later.at(-1)?.pending_transaction_id).toBe(first.at(-1)?.transaction_id);
  expect(later).toHaveLength(6);
  expect(inbox.codes()).toContain("TRANSACTIONS/TRANSACTIONS_REMOVED");
});

it("Items of user_custom with the same seed have the same made-up data and ids of their own", async () => {
  const configuration = { seed: "twins", override_accounts: [CHECKING, { type: "credit", subtype: "credit card" }] };
  const [one, two] = [await all(await linked(configuration)), await all(await linked(configuration))];
  const shape = (rows: typeof one) => rows.map((row) => `${row.date} ${row.name} ${row.amount}`).toSorted();
  expect(one.length).toBeGreaterThan(10);
  expect(shape(two)).toEqual(shape(one));
  expect(two.map((row) => row.transaction_id)).not.toContain(one[0]?.transaction_id);
  expect(shape(await all(await linked({ override_accounts: configuration.override_accounts })))).not.toEqual(
    shape(one),
  );
});

it("dates of a configuration that rolls them forward end on the day when the Item is linked", async () => {
  const transactions = ["2025-03-01", "2025-03-31"].map((date) => ({
    date_transacted: date,
    date_posted: date,
    amount: 5,
    description: date,
  }));
  const rows = await all(
    await linked({ roll_dates_forward: true, override_accounts: [{ ...CHECKING, transactions }] }),
  );
  const today = simulator.control.clock().now.slice(0, 10);
  expect(rows.map((row) => row.date)).toEqual([expect.any(String), today]);
  expect(Date.parse(rows[1]?.date ?? "") - Date.parse(rows[0]?.date ?? "")).toBe(30 * 86_400_000);
});

it.each([
  ["not JSON", "must be its configuration as JSON"],
  [[], "expected object"],
  [{ override_accounts: [{ type: "depository" }] }, "override_accounts.0.subtype"],
  [{ override_accounts: [{ type: "credit", subtype: "ira" }] }, "subtype is none of this type"],
  [{ override_accounts: [{ ...CHECKING, transactions: [{ amount: 1 }] }] }, "transactions.0.date_transacted"],
  [{ override_accounts: [{ ...CHECKING, numbers: { eft_branch: "1" } }] }, "need each other"],
  [{ override_accounts: Array.from({ length: 11 }, () => CHECKING) }, "override_accounts"],
  [{ force_error: "NO_SUCH_CODE" }, "has no error NO_SUCH_CODE"],
])("the configuration %j is refused as wrong credentials, with its fault", async (configuration, fault) => {
  expect(await refusal(create(configuration))).toMatchObject({
    status: 400,
    error_type: "ITEM_ERROR",
    error_code: "INVALID_CREDENTIALS",
    error_message: expect.stringContaining(fault),
  });
});

it("a login can be made to end in an error by the configuration or by the password", async () => {
  expect((await refusal(create({ force_error: "ITEM_LOCKED" }))).error_code).toBe("ITEM_LOCKED");
  const options = { override_username: "user_good", override_password: "error_INSTITUTION_NOT_RESPONDING" };
  const call = sdk.sandboxPublicTokenCreate({
    institution_id: "ins_109508",
    initial_products: ["transactions" as Products],
    options,
  });
  expect((await refusal(call)).error_type).toBe("INSTITUTION_ERROR");
});

it("holdings of user_custom are those of the configuration, and outlive a restart", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tartan-custom-"));
  const stateFile = join(folder, "world");
  const open = () =>
    startSimulator({ seed: "custom", clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: false, stateFile });
  const holdings = [
    { institution_price: 140.4, institution_price_as_of: "2025-02-08", cost_basis: 9, quantity: 12, ...share("AAPL") },
    { institution_price: 19_999.54, quantity: 0.00293644, ...share("CUR:BTC") },
    { institution_price: 5.9, quantity: 20, ...share("F241108C00005000") },
  ];
  const password = { override_accounts: [{ type: "investment", subtype: "brokerage", holdings }] };
  const first = await open();
  const { items } = first.control.createItems({ user: "user_custom", password, products: ["investments"] });
  const access_token = items[0]?.access_token ?? "";
  const before = (await sdkFor(first).investmentsHoldingsGet({ access_token })).data;
  const row = (one: (typeof before.holdings)[number]) => [one.quantity, one.institution_price, one.cost_basis];
  expect(before.holdings.map(row)).toEqual([
    [12, 140.4, 9],
    [0.00293644, 19_999.54, null],
    [20, 5.9, null],
  ]);
  expect(before.holdings.map((one) => one.institution_price_as_of)).toEqual(["2025-02-08", null, null]);
  expect(before.securities.map((one) => [one.ticker_symbol, one.type, one.isin])).toEqual([
    ["AAPL", "equity", "US0378331005"],
    ["CUR:BTC", "cryptocurrency", "US0378331005"],
    ["F241108C00005000", "derivative", "US0378331005"],
  ]);
  expect(before.securities[2]?.option_contract).toMatchObject({ contract_type: "call", strike_price: 5 });
  expect(before.accounts[0]?.balances.current).toBeCloseTo(1861.53, 2);
  await first[Symbol.asyncDispose]();

  const again = await open();
  const after = (await sdkFor(again).investmentsHoldingsGet({ access_token })).data;
  expect([after.holdings, after.securities]).toEqual([before.holdings, before.securities]);
  const change = again.control.change(items[0]?.item_id ?? "", "holdings", { modify: 1, reprice: "all" });
  expect(change.modified).toHaveLength(1);
  await again[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const share = (ticker_symbol: string) => ({
  currency: "USD",
  security: { ticker_symbol, isin: "US0378331005", currency: "USD" },
});

it("liabilities of user_custom have the terms of the configuration, and made-up ones beside", async () => {
  const access_token = await linked(
    {
      override_accounts: [
        {
          type: "credit",
          subtype: "credit card",
          liability: {
            type: "credit",
            purchase_apr: 12.9,
            special_apr: 0,
            minimum_payment_amount: 10,
            is_overdue: true,
          },
        },
        {
          type: "loan",
          subtype: "student",
          liability: {
            type: "student",
            origination_date: "2022-01-01",
            principal: 45_123,
            nominal_apr: 4.23,
            loan_name: "Plaid Student Loan",
            repayment_model: { type: "standard", non_repayment_months: 12, repayment_months: 120 },
            servicer_address: { data: { city: "Boston" } },
          },
        },
      ],
    },
    ["liabilities"],
  );
  const { credit, student } = (await sdk.liabilitiesGet({ access_token })).data.liabilities;
  expect(credit?.[0]).toMatchObject({ is_overdue: true, minimum_payment_amount: 10 });
  expect(credit?.[0]?.aprs.map(({ apr_type, apr_percentage }) => [apr_type, apr_percentage])).toEqual([
    ["purchase_apr", 12.9],
    ["special", 0],
  ]);
  expect(student?.[0]).toMatchObject({
    origination_principal_amount: 45_123,
    interest_rate_percentage: 4.23,
    loan_name: "Plaid Student Loan",
    expected_payoff_date: "2033-01-01",
    servicer_address: { city: "Boston", street: null },
    loan_status: expect.anything(),
  });
});

it("the list of sent webhooks pages through those of one instant without losing or repeating one", async () => {
  await using frozen = await startSimulator({ clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: false });
  const { items } = frozen.control.createItems({ webhook: "http://127.0.0.1:9/nobody" });
  for (let n = 0; n < 5; n += 1) frozen.control.breakItem(items[0]?.item_id ?? "");
  const seen: string[] = [];
  let cursor: string | undefined;
  for (let more = true; more;) {
    const page = (await sdkFor(frozen).betaWebhookEventsList({ count: 2, ...(cursor ? { cursor } : {}) })).data;
    seen.push(...page.webhook_events.map((one) => one.webhook_message_id));
    ({ next_cursor: cursor, has_more: more } = page);
  }
  expect(seen).toEqual(frozen.control.webhooks().webhooks.map((one) => one.webhook_id));
});
