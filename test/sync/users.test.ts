/**
 * Users and what Plaid reports on them, asset reports and Link sessions: how they become known, what is read, what is not, and what the
 * mirror keeps when a report was replaced, has expired or cannot be made.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeIntegration } from "../../src/integrations/integrations.ts";
import { eraseSubject } from "../../src/lifecycle/subjects.ts";
import { isBilledEndpoint, resourcesOf } from "../../src/resources/index.ts";
import { addSubject, getSubject } from "../../src/sync/subjects.ts";
import type { RecordKind } from "../../src/simulator/index.ts";
import type { Sync } from "../../src/sync/sync.ts";
import { expectRecordEqualsTruth } from "../support/record-oracle.ts";
import { startWorld, type World } from "../support/world/index.ts";

/** Plaid bills these when they are asked for, so nothing asks for them unless a test enables them. */
const BILLED = resourcesOf("user").flatMap(({ name, billed }) => (billed === undefined ? [] : [name]));
const REPORTS = ["cra_base_report", "cra_income_insights"];

let world: World<"sync">;
let worker: Sync;
beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "users" }, sync: {} });
  worker = await world.sync.start();
});
afterAll(() => world[Symbol.asyncDispose]());

/** As if Plaid had sent a webhook about a record, and sync had served it; resolves with the webhook's outcome. */
async function notified(
  kind: RecordKind,
  id: string,
  type: string,
  code: string,
  fields: object = {},
): Promise<unknown> {
  const webhookId = await world.sync.notifyOf({ kind, id }, type, code, fields);
  await worker.idle();
  return (await world.sync.info(webhookId))?.outcome;
}

const made = <K extends RecordKind>(kind: K, fields: object = {}) => {
  const [record] = world.simulator.control.records.create(kind, { webhooks: false, ...fields } as never).records;
  if (!record) throw new Error("the simulator made no record");
  return { id: record.id, token: record.token ?? "" };
};
const change = (kind: RecordKind, id: string, fields: object) =>
  world.simulator.control.records.change(kind, id, { webhooks: false, ...fields } as never);
const enable = (enabled_resources: string[], purpose: "ACCOUNT_REVIEW_CREDIT" | null = null) =>
  changeIntegration(world.database, world.vault, world.integration.id, {
    enabled_resources,
    consumer_report_permissible_purpose: purpose,
  });
/** @param enabled of the billed resources */
const equal = (kind: RecordKind, id: string, enabled: readonly string[] = []) =>
  expectRecordEqualsTruth(
    world.database,
    world.simulator,
    kind,
    id,
    BILLED.filter((name) => !enabled.includes(name)),
  );
const add = async (kind: RecordKind, id: string, token?: string) => {
  await addSubject(world, { integration_id: world.integration.id, kind, id, token });
  await worker.idle();
};
const statusOf = async (kind: RecordKind, id: string) =>
  (await getSubject(world.database, { kind, id, integration_id: world.integration.id })).status;
const count = async (table: string, where: string): Promise<number> => {
  const { rows } = await world.database.query<{ count: number }>(
    `select count(*)::int as count from plaid.${table} where ${where}`,
  );
  return rows[0]?.count ?? 0;
};

it("the first webhook about a user reads the user, the items, and what Plaid reports on the user without billing the request", async () => {
  const user = made("user", { items: 2 });
  expect(await notified("user", user.id, "INCOME", "USER_INCOME_VERIFICATION")).toBe("synced");
  await equal("user", user.id);
  expect(await count("pay_stubs", `plaid_user_id = '${user.id}'`)).toBeGreaterThan(0);
  expect(await statusOf("user", user.id)).toBe("ok");
  const asked = Object.keys(world.simulator.control.requests().requests);
  expect(asked.filter((endpoint) => isBilledEndpoint(endpoint))).toEqual([]);
  expect(asked).toContain("/credit/payroll_income/get");
});

it("an integration that enables billed reports, and says why where Plaid asks, has them too, masked as declared", async () => {
  const { database, simulator } = world;
  const user = made("user", { items: 2 });
  await expect(enable(BILLED)).rejects.toMatchObject({
    fields: { consumer_report_permissible_purpose: expect.any(String) },
  });
  await enable(BILLED, "ACCOUNT_REVIEW_CREDIT");
  await add("user", user.id);
  await expectRecordEqualsTruth(database, simulator, "user", user.id);
  change("user", user.id, { cash_flow: true });
  await notified("user", user.id, "CASH_FLOW_UPDATES", "CASH_FLOW_INSIGHTS_UPDATED");
  await expectRecordEqualsTruth(database, simulator, "user", user.id);
  await enable([]);
});

it("a user with a user_token is asked about by the token, and has a row although Plaid shows none of the user's fields", async () => {
  const user = made("user", { legacy: true, items: 3 });
  await add("user", user.id, user.token);
  await equal("user", user.id);
  const { rows } = await world.database.query(
    "select client_user_id, raw from plaid.users where plaid_user_id = $1 and removed_at is null",
    [user.id],
  );
  expect(rows).toEqual([{ client_user_id: null, raw: {} }]);
  expect(await count("current_user_items", `plaid_user_id = '${user.id}'`)).toBe(3);
});

it("a user with a user_token that nobody added is asked about by the id, and is not gone because Plaid refuses the user's own fields", async () => {
  const user = made("user", { legacy: true, items: 2 });
  expect(await notified("user", user.id, "INCOME", "USER_INCOME_VERIFICATION")).toBe("synced");
  await equal("user", user.id);
  expect(await statusOf("user", user.id)).toBe("ok");
  expect(await count("current_user_items", `plaid_user_id = '${user.id}'`)).toBe(2);
});

it("rows follow a user's new pay stubs, reports and items, and a report that was replaced", async () => {
  const user = made("user", { items: 2 });
  await enable(REPORTS);
  await add("user", user.id);
  change("user", user.id, { pay_stubs: 2, add_items: 1, break_item: true });
  await notified("user", user.id, "INCOME", "USER_INCOME_VERIFICATION");
  change("user", user.id, { bank_income: true });
  await notified("user", user.id, "INCOME", "BANK_INCOME_REFRESH_COMPLETE");
  change("user", user.id, { check_report: true, remove_items: 1 });
  await notified("user", user.id, "CHECK_REPORT", "USER_CHECK_REPORT_READY");
  await equal("user", user.id, REPORTS);
  expect(await count("bank_income_reports", `plaid_user_id = '${user.id}' and removed_at is null`)).toBe(2);
  expect(await count("cra_base_reports", `plaid_user_id = '${user.id}' and removed_at is not null`)).toBe(1);
  await enable([]);
});

it("a user without income and reports has no rows of them, and is well", async () => {
  const none = { payroll: false, bank_income: false, check_report: false, cash_flow: false };
  const user = made("user", { items: 0, ...none });
  await add("user", user.id);
  await equal("user", user.id);
  expect(await statusOf("user", user.id)).toBe("ok");
});

it("a consumer report is read when Plaid says that it is ready, and stays in the mirror after it has expired", async () => {
  const { control } = world.simulator;
  const user = made("user", { payroll: false, bank_income: false, check_report: false });
  await plaidRequest("/cra/check_report/create", {
    user_id: user.id,
    webhook: "https://example.com/",
    days_requested: 90,
    consumer_report_permissible_purpose: "EXTENSION_OF_CREDIT",
  });
  await enable(REPORTS);
  await add("user", user.id);
  expect(await statusOf("user", user.id)).toBe("waiting");
  await control.advanceClock({ advance_s: 60 });
  await notified("user", user.id, "CHECK_REPORT", "USER_CHECK_REPORT_READY");
  expect(await statusOf("user", user.id)).toBe("ok");
  await equal("user", user.id, REPORTS);
  await control.advanceClock({ advance_s: 86_400 });
  await notified("user", user.id, "CHECK_REPORT", "USER_CHECK_REPORT_FAILED");
  await notified("user", user.id, "CHECK_REPORT", "USER_CHECK_REPORT_READY");
  await equal("user", user.id, REPORTS);
  expect(await count("cra_base_report_accounts", `plaid_user_id = '${user.id}' and removed_at is null`)).not.toBe(0);
  expect(await count("freshness", `id = '${user.id}' and resource = 'cra_base_report' and absent is null`)).toBe(1);
  expect(await statusOf("user", user.id)).toBe("ok");
  await enable([]);
});

it("a user who was removed at Plaid ends, with all rows", async () => {
  const user = made("user");
  await add("user", user.id);
  await plaidRequest("/user/remove", { user_id: user.id });
  await notified("user", user.id, "INCOME", "USER_INCOME_VERIFICATION");
  expect(await statusOf("user", user.id)).toBe("ended");
  expect(await count("users", `plaid_user_id = '${user.id}' and removed_at is null`)).toBe(0);
  expect(await count("pay_stubs", `plaid_user_id = '${user.id}' and removed_at is null`)).toBe(0);
});

it("a webhook about an asset report waits for the report's token, and the report is read when the token comes", async () => {
  const report = made("asset_report", { items: 2 });
  expect(await notified("asset_report", report.id, "ASSETS", "PRODUCT_READY")).toBe("subject_unknown");
  await add("asset_report", report.id, report.token);
  await equal("asset_report", report.id);
  const { rows } = await world.database.query<{ raw: { user: Record<string, string> } }>(
    "select raw from plaid.asset_reports where asset_report_id = $1",
    [report.id],
  );
  expect(rows[0]?.raw.user).toMatchObject({ first_name: "•••", ssn: expect.stringMatching(/^••••\d{4}$/) });
});

it("an asset report that was added with the token of another one has no rows and says so, until its own token is added", async () => {
  const [report, other] = [made("asset_report", { items: 1 }), made("asset_report", { items: 1 })];
  await add("asset_report", report.id, other.token);
  const { status, error_code, next_step } = await getSubject(world.database, { kind: "asset_report", id: report.id });
  expect({ status, error_code }).toEqual({ status: "misconfigured", error_code: "token_of_another_item" });
  expect(next_step).toContain("asset report");
  for (const table of ["asset_reports", "asset_report_accounts", "asset_report_transactions"])
    expect(await count(table, `asset_report_id in ('${report.id}', '${other.id}')`)).toBe(0);
  await add("asset_report", report.id, report.token);
  await equal("asset_report", report.id);
  expect(await statusOf("asset_report", report.id)).toBe("ok");
});

it("an asset report that is not ready is read again when Plaid says that it is", async () => {
  const report = made("asset_report", { ready_after_s: 3600 });
  await add("asset_report", report.id, report.token);
  expect(await count("asset_reports", `asset_report_id = '${report.id}'`)).toBe(0);
  change("asset_report", report.id, { settle: true });
  await notified("asset_report", report.id, "ASSETS", "PRODUCT_READY");
  await equal("asset_report", report.id);
});

it("of an asset report that is erased nothing is left in any table but the audit log's and the event that it was erased, and of another one everything", async () => {
  const { database, integration } = world;
  const [report, other] = [made("asset_report", { items: 1 }), made("asset_report", { items: 1 })];
  await database.query("insert into relay.destinations (id, url) values ('dst_1', 'https://x.example')");
  for (const { id, token } of [report, other]) {
    await add("asset_report", id, token);
    await notified("asset_report", id, "ASSETS", "PRODUCT_READY");
    await database.query(
      `insert into relay.deliveries (id, destination_id, event_id, event_type, integration_id, route_id, route_version, form, due_at)
       select gen_random_uuid(), 'dst_1', of.id, 'any', $1, $2, 1, 'event', now() from (
         select id from events.events where subject_id = $2 union all select id from journal.webhooks where subject_id = $2) of`,
      [integration.id, id],
    );
  }
  const kept = await traces(other.id);
  expect(Object.keys(await traces(report.id))).toEqual(Object.keys(kept));
  for (const table of ["asset_reports", "cursors", "deliveries", "events", "registered_subjects", "runs", "subjects"])
    expect(Object.keys(kept)).toContain(table);
  expect(Object.keys(kept).join()).toContain("webhooks");
  await eraseSubject(database, integration.id, { kind: "asset_report", id: report.id });
  expect(await traces(report.id)).toEqual({ audit_log: 1, events: 1 });
  expect(await traces(other.id)).toEqual(kept);
});

/** How many rows of which tables have the id somewhere. */
async function traces(id: string): Promise<Record<string, number>> {
  const { database } = world;
  const { rows: tables } = await database.query<{ schema: string; name: string }>(
    `select relnamespace::regnamespace::text as schema, relname as name from pg_class
     where relkind = 'r' and relnamespace::regnamespace::text in ('plaid', 'mirror', 'sync', 'journal', 'events', 'relay', 'tartan')
     order by relname`,
  );
  const counts = tables.map(
    ({ schema, name }) =>
      `select '${name}' as name, count(*)::int as rows from ${schema}."${name}" t where t::text like $1`,
  );
  const { rows } = await database.query<{ name: string; rows: number }>(
    `select * from (${counts.join(" union all ")}) counted where rows > 0`,
    [`%${id}%`],
  );
  return Object.fromEntries(rows.map(({ name, rows: found }) => [name, found]));
}

it("a Link session is read by the token in its webhook, without the other sessions of the token and without public tokens", async () => {
  const first = made("link_session", { items: 2 });
  const second = made("link_session", { link_token: first.token, outcome: null });
  const link_token = first.token;
  await notified("link_session", first.id, "LINK", "SESSION_FINISHED", { link_session_id: first.id, link_token });
  await notified("link_session", second.id, "LINK", "EVENTS", { link_session_id: second.id, link_token });
  await equal("link_session", first.id);
  change("link_session", second.id, { events: 3, outcome: "EXITED" });
  await notified("link_session", second.id, "LINK", "SESSION_FINISHED", { link_session_id: second.id, link_token });
  await equal("link_session", second.id);
  // Opened, an institution chosen, handed over: what was done in the other session is not among it.
  expect(await count("link_events", `link_session_id = '${first.id}'`)).toBe(3);
  const { rows } = await world.database.query<{ raw: string }>("select raw::text from plaid.link_sessions");
  expect(rows).toHaveLength(2);
  expect(rows.map(({ raw }) => raw).join()).not.toContain("public-sandbox-");
  expect(await count("link_sessions", "exit_error_error_code is not null")).toBe(1);
});

async function plaidRequest(path: string, body: object): Promise<void> {
  const { url, clientId, secret } = world.simulator;
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_id: clientId, secret, ...body }),
  });
  expect(response.status).toBe(200);
}
