/**
 * Transfers, payments, wallets, verifications, screenings, users and Link sessions change at random, while their webhooks are lost, doubled and overtake one
 * another on their way to a real process. After one more webhook about each, the mirror is what the simulator knows.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { NewIntegration } from "../../src/integrations/integrations.ts";
import { resourcesOf } from "../../src/resources/index.ts";
import type { RecordKind } from "../../src/simulator/index.ts";
import { expectRecordEqualsTruth } from "../support/record-oracle.ts";
import { until } from "../support/until.ts";
import { startWorld, type World } from "../support/world/index.ts";

/**
 * The webhook that says of one record of a kind that it changed; `named`: rows of other tables name each record; `some`: they name some,
 * and only those are mirrored.
 */
const WEBHOOKS: Partial<Record<RecordKind, [type: string, code: string, field: string] | "named" | "some">> = {
  transfer: "named",
  recurring_transfer: ["TRANSFER", "RECURRING_CANCELLED", "recurring_transfer_id"],
  originator: ["TRANSFER", "PLATFORM_ONBOARDING_UPDATE", "originator_client_id"],
  payment: ["PAYMENT_INITIATION", "PAYMENT_STATUS_UPDATE", "payment_id"],
  payment_consent: ["PAYMENT_INITIATION", "CONSENT_STATUS_UPDATE", "consent_id"],
  wallet_transaction: ["WALLET", "WALLET_TRANSACTION_STATUS_UPDATE", "transaction_id"],
  // Nothing announces a wallet before its first transaction.
  wallet: "some",
  identity_verification: ["IDENTITY_VERIFICATION", "STATUS_UPDATED", "identity_verification_id"],
  screening: ["SCREENING", "STATUS_UPDATED", "screening_id"],
  entity_screening: ["ENTITY_SCREENING", "STATUS_UPDATED", "entity_screening_id"],
};
/** Kinds of which several webhooks say what changed, each of its own resources, or whose webhooks carry a token. */
const SEVERAL: Partial<Record<RecordKind, (token: string) => [type: string, code: string, fields: object][]>> = {
  user: () => [
    ["INCOME", "USER_INCOME_VERIFICATION", {}],
    ["INCOME", "USER_INCOME_VERIFICATION_RISK_SIGNALS", {}],
    ["INCOME", "BANK_INCOME_REFRESH_COMPLETE", { result: "SUCCESS" }],
    ["CHECK_REPORT", "USER_CHECK_REPORT_READY", {}],
    ["CASH_FLOW_UPDATES", "CASH_FLOW_INSIGHTS_UPDATED", { insights: [] }],
  ],
  link_session: (link_token) => [["LINK", "EVENTS", { link_token, events: [] }]],
};
/** Users and what Plaid reports on them, billed reports among it. */
const ENABLED = {
  enabled_resources: resourcesOf("user").flatMap(({ name, billed }) => (billed === undefined ? [] : [name])),
  consumer_report_permissible_purpose: "ACCOUNT_REVIEW_CREDIT",
} as NewIntegration;
const KINDS = [...Object.keys(WEBHOOKS), ...Object.keys(SEVERAL)] as RecordKind[];
const WEBHOOKS_SENT = 150;

let world: World<"integration" | "processes">;
let url: string;
beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "storm of records" }, integration: ENABLED, processes: {} });
  const tartan = await world.processes.start(["up"]);
  url = `${tartan.url}/v1/integrations/${world.integration.id}`;
  world.simulator.sendRecordsTo(url);
});
afterAll(() => world[Symbol.asyncDispose]());

const idOf = (kind: string): string => `${kind}_id`;

const isEqual = (kind: RecordKind, id: string): Promise<boolean> =>
  expectRecordEqualsTruth(world.database, world.simulator, kind, id).then(
    () => true,
    () => false,
  );

/** The subjects of a kind that some row named. */
async function idsInMirror(kind: RecordKind): Promise<string[]> {
  const { rows } = await world.database.query<{ id: string }>("select id from sync.subjects where kind = $1", [kind]);
  return rows.map(({ id }) => id);
}

async function expectEqual(kind: RecordKind, id: string): Promise<void> {
  // What differs at the end is said by the comparison, not by the wait for it.
  await until(`the mirror of ${kind} ${id} equal`, () => isEqual(kind, id)).catch(() => undefined);
  await expectRecordEqualsTruth(world.database, world.simulator, kind, id);
}

it("the mirror of what belongs to no item equals Plaid after random changes whose webhooks were lost, doubled and reordered", async () => {
  const { control } = world.simulator;
  const { records } = control;
  control.addFault({ kind: "drop_webhooks", probability: 0.3 });
  control.addFault({ kind: "duplicate_webhooks", probability: 0.3, resign: true });
  control.addFault({ kind: "reorder_webhooks", probability: 0.5, within_ms: 200 });
  for (const kind of KINDS) records.create(kind, { count: 3 } as never);
  records.change("transfer_ledger", "all", { sweep: "5.00" });
  // Slower than a sync, so that what was read already changes again.
  control.startActivity({ everyMs: 150, records: 2 });
  await until("enough webhooks", () => control.webhooks().total > WEBHOOKS_SENT);
  control.stopActivity();
  control.clearFaults();
  await control.idle();

  for (const kind of KINDS) {
    const webhook = WEBHOOKS[kind];
    if (webhook === undefined || typeof webhook === "string") continue;
    const [webhook_type, webhook_code, field] = webhook;
    for (const { id } of records.list(kind).records)
      control.sendWebhook({ url, webhook_type, webhook_code, fields: { [field]: id } });
  }
  for (const [kind, last] of Object.entries(SEVERAL)) {
    for (const { id, token } of records.list(kind as RecordKind).records)
      for (const [webhook_type, webhook_code, fields] of last(token ?? ""))
        control.sendWebhook({ url, webhook_type, webhook_code, fields: { [idOf(kind)]: id, ...fields } });
  }
  records.change("transfer_ledger", "all", { announce: true });
  await control.idle();
  await expectEqual("transfer_ledger", "all");
  for (const kind of KINDS) {
    const all = records.list(kind).records;
    expect(all.length, kind).toBeGreaterThanOrEqual(3);
    const mirrored = WEBHOOKS[kind] === "some" ? await idsInMirror(kind) : all.map(({ id }) => id);
    expect(mirrored.length, kind).toBeGreaterThanOrEqual(3);
    for (const id of mirrored) await expectEqual(kind, id);
  }
  await until("every webhook processed", async () => {
    const { rows: waiting } = await world.database.query("select from journal.webhooks where processed_at is null");
    return waiting.length === 0;
  });
});

it("names, numbers of accounts and documents of people are in no table and in no event, but their last digits", async () => {
  const { control } = world.simulator;
  const secrets = (["payment", "wallet_transaction", "identity_verification", "screening"] as const).map((kind) => {
    const [record] = control.records.list(kind).records;
    return JSON.stringify(control.records.get(kind, record?.id ?? "").truth);
  });
  const values = secrets.flatMap((truth) =>
    [
      ...truth.matchAll(
        /"(?:account|iban|legal_name|email_address|phone_number|document_number|value|name)":"([^"]{6,})"/g,
      ),
    ].map(([, value = ""]) => value),
  );
  expect(values.length).toBeGreaterThan(5);
  const { rows } = await world.database.query<{ found: string }>(
    `select value as found from unnest($1::text[]) value where exists (
        select from events.events where type like '%.changed' and convert_from(payload, 'UTF8') like '%"' || value || '"%')
      or exists (select from plaid.payments where raw::text like '%"' || value || '"%')
      or exists (select from plaid.wallet_transactions where raw::text like '%"' || value || '"%')
      or exists (select from plaid.identity_verifications where raw::text like '%"' || value || '"%')
      or exists (select from plaid.watchlist_screenings where raw::text like '%"' || value || '"%')`,
    [values],
  );
  expect(rows).toEqual([]);
});
