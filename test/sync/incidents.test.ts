/** Incidents of institutions, and the registrations of a partner's customers: from Plaid's webhook to the tables. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { subjectRules } from "../../src/plaid/catalogue.ts";
import { markAll } from "../support/mark.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"sync">;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  world.simulator.sendRecordsTo("http://127.0.0.1:9/nobody");
});
afterAll(() => world[Symbol.asyncDispose]());

/** Accepts the newest webhook that the simulator sent, and waits for its run. */
async function received(): Promise<void> {
  const [sent] = world.simulator.control.webhooks({ limit: 1 }).webhooks;
  const body = JSON.parse(sent?.body ?? "{}") as Record<string, string>;
  const [webhookType, webhookCode] = [body["webhook_type"] ?? "", body["webhook_code"] ?? ""];
  const [rule] = subjectRules(webhookType, webhookCode);
  if (!rule || !("field" in rule)) throw new Error("a webhook about no subject");
  await append(world.database, [
    webhook({
      integrationId: world.integration.id,
      itemId: null,
      subject: { kind: rule.kind, id: body[rule.field] ?? "" },
      webhookType,
      webhookCode,
      body: Buffer.from(sent?.body ?? ""),
    }),
  ]);
  await markAll(world.database);
  await using worker = await world.sync.start();
  await worker.idle();
}

const rows = async (text: string) => (await world.database.query<Record<string, unknown>>(text)).rows;

it("an incident worsens the institution's status, and its resolution is mirrored with the institution", async () => {
  const { records } = world.simulator.control;
  const [issue] = records.create("issue", { institution_id: "ins_109510", severity: "CRITICAL" }).records;
  await received();
  expect(await rows("select status #>> '{item_logins,status}' as logins from plaid.institutions")).toEqual([
    { logins: "DOWN" },
  ]);
  expect(await rows("select title, end_date from plaid.current_institution_incidents")).toEqual([
    { title: expect.stringContaining("Tattersall"), end_date: null },
  ]);

  const { url, clientId: client_id, secret } = world.simulator;
  const body = { client_id, secret, issue_id: issue?.id, webhook: "http://127.0.0.1:9/issues" };
  await fetch(`${url}/issues/subscribe`, { method: "POST", body: JSON.stringify(body) });
  records.change("issue", issue?.id ?? "", { status: "RESOLVED" });
  await received();
  expect(await rows("select issue_id, status, institution_ids from plaid.issues")).toEqual([
    { issue_id: issue?.id, status: "RESOLVED", institution_ids: ["ins_109510"] },
  ]);
  expect(await rows("select status #>> '{item_logins,status}' as logins from plaid.institutions")).toEqual([
    { logins: "HEALTHY" },
  ]);
  expect(await rows("select end_date from plaid.current_institution_incidents")).toEqual([
    { end_date: expect.any(Date) },
  ]);
});

it("a registration at an institution is mirrored with its status, and the institution with it", async () => {
  const { records } = world.simulator.control;
  const [customer] = records.create("partner_customer").records;
  const end_customer_client_id = customer?.id ?? "";
  records.change("partner_customer", end_customer_client_id, { institution_id: "ins_127287", status: "enabled" });
  await received();
  expect(await rows("select flowdown_status from plaid.partner_customers")).toEqual([{ flowdown_status: "COMPLETE" }]);
  expect(
    await rows(
      `select end_customer_client_id, environments_production, i.name from plaid.current_partner_oauth_institutions p
       join plaid.institutions i using (institution_id) where institution_id = 'ins_127287'`,
    ),
  ).toEqual([{ end_customer_client_id, environments_production: "ENABLED", name: "Platypus OAuth Bank" }]);
});
