/**
 * A user's backend, as it is written for WebhookDB today: the official Plaid SDK, and the requests of its guide. Only the
 * URL is Tartan's.
 */
import { Configuration, CountryCode, PlaidApi, Products } from "plaid";
import { expect, it } from "vitest";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import { ADMIN_KEY, startWorld } from "../support/world/index.ts";
import { until } from "../support/until.ts";

it("a backend written for WebhookDB works with the URL replaced, from the token exchange to an unlinked item", async () => {
  await using world = await startWorld({ simulator: { seed: "backend" }, integration: {}, processes: {} });
  const tartan = await world.processes.start(["up"]);
  const { simulator, integration, database } = world;
  const webhookUrl = `${tartan.url}/v1/service_integrations/${integration.id}`;
  const headers = { "PLAID-CLIENT-ID": simulator.clientId, "PLAID-SECRET": simulator.secret };
  const plaid = new PlaidApi(new Configuration({ basePath: simulator.url, baseOptions: { headers } }));
  const notify = (body: Record<string, unknown>) =>
    fetch(webhookUrl, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Whdb-Webhook-Secret": integration.webhook_secret },
      body: JSON.stringify(body),
    });

  const { data: made } = await plaid.sandboxPublicTokenCreate({
    institution_id: "ins_109508",
    initial_products: [Products.Transactions],
    options: { webhook: webhookUrl, override_username: "user_transactions_dynamic" },
  });
  const { data: linked } = await plaid.itemPublicTokenExchange({ public_token: made.public_token });
  const { item_id, access_token } = linked;

  // Plaid's first webhooks may well come before the backend's: they wait for the token.
  await simulator.control.advanceClock({ advance_s: 600 });
  const created = await notify({ webhook_type: "ITEM", webhook_code: "CREATED", item_id, access_token });
  expect(created.status).toBe(200);
  const mirrored = async (count: number) => {
    const { rows } = await database.query("select from plaid.current_transactions where item_id = $1", [item_id]);
    return rows.length >= count;
  };
  await until("the first sync", () => mirrored(40));
  await expectMirrorEqualsTruth(database, simulator, item_id);

  await plaid.transactionsRefresh({ access_token });
  await simulator.control.advanceClock({ advance_s: 60 });
  const served = async () => {
    const { rows } = await database.query("select from journal.webhooks where processed_at is null");
    return rows.length === 0;
  };
  await until("the refresh's webhooks served", served);
  await expectMirrorEqualsTruth(database, simulator, item_id);

  // Update mode repairs the item, and Plaid sends no webhook: the backend posts ITEM/UPDATED.
  await plaid.sandboxItemResetLogin({ access_token });
  const errorCode = async () =>
    (await database.query<{ error_code: string | null }>("select error_code from plaid.items")).rows[0]?.error_code;
  await until("the login error seen", async () => (await errorCode()) === "ITEM_LOGIN_REQUIRED");
  simulator.control.repairItem(item_id, { webhooks: false });
  expect((await notify({ webhook_type: "ITEM", webhook_code: "UPDATED", item_id })).status).toBe(200);
  await until("the repair seen", async () => (await errorCode()) === null);

  const history = await notify({ webhook_type: "TRANSACTIONS", webhook_code: "HISTORICAL_UPDATE", item_id });
  expect(history.status).toBe(200);
  const { data: institutions } = await plaid.institutionsGetById({
    institution_id: "ins_109508",
    country_codes: [CountryCode.Us],
  });
  await until("the institution mirrored", async () => {
    const { rows } = await database.query<{ name: string }>("select name from plaid.institutions");
    return rows[0]?.name === institutions.institution.name;
  });

  await plaid.itemRemove({ access_token });
  await fetch(`${tartan.url}/v1/items/${item_id}/sync`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_KEY}` },
  });
  await until("the removed item gone from the mirror", async () => {
    const { rows } = await database.query("select from plaid.current_items where item_id = $1", [item_id]);
    return rows.length === 0;
  });
  await expectMirrorEqualsTruth(database, simulator, item_id);
});
