import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { append } from "../../../src/journal/append.ts";
import { openRefusals } from "../../../src/journal/refusals.ts";
import { keepUnproven } from "../../../src/journal/unproven.ts";
import { silentLogger } from "../../../src/logger.ts";
import { toWebhookId } from "../../../src/model/ids.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { webhookBody } from "../../support/plaid-signer.ts";
import { INTEGRATION, unprovenWebhook, webhook } from "../../support/webhook.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"relay" | "processes">;
beforeAll(async () => {
  world = await startWorld({ relay: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("webhooks", () => world.processes.env);

interface Page {
  data: { id: string }[];
  next_cursor: string | null;
}

it("`tartan webhooks list` prints webhooks with their outcome, newest first, by filter and page by page", async () => {
  const ids = (await world.relay.webhooks("item-1", "item-1", "item-2")).map(toWebhookId).toReversed();
  await world.database.query(
    "update journal.webhooks set processed_at = now(), update_info = '{\"outcome\":\"synced\"}' where item_id = 'item-2'",
  );
  const said = await cli.text("webhooks list --limit 2");
  expect(said).toMatch(new RegExp(`${ids[0]}.*PLAID\\s+TRANSACTIONS/SYNC_UPDATES_AVAILABLE\\s+item-2.*synced`));
  expect(said).toMatch(new RegExp(`${ids[1]}.*item-1.*due`));
  expect(said).not.toContain(ids[2]);
  const cursor = /more: --cursor (\S+)/.exec(said)?.[1] ?? "";
  const rest = await cli.json<Page>("webhooks list --cursor", cursor);
  expect(rest).toMatchObject({ data: [{ id: ids[2], item_id: "item-1" }], next_cursor: null });
  const some = await cli.json<Page>("webhooks list --item item-1 --type TRANSACTIONS --limit 5");
  expect(some.data.map(({ id }) => id)).toEqual(ids.slice(1));
  expect(await cli.text("webhooks list --source RECONCILER")).toContain("No webhook matches.");
  expect(await cli.refusal("webhooks list --source nobody")).toMatch(/^invalid_request: .*source must be one of PLAID/);
});

it("`tartan webhooks show` prints a webhook's facts and its body, with its tokens cut out", async () => {
  const body = Buffer.from('{"public_token":"public-sandbox-8ab976e6-64bc-4b38-98f7-731e7a349970","n":1.50}');
  const [stored] = [webhook({ body, webhookType: "ITEM", webhookCode: "NEW_ACCOUNTS_AVAILABLE" })];
  await append(world.database, [stored]);
  const id = toWebhookId(stored.id);
  const said = await cli.text("webhooks show", id);
  expect(said).toMatch(/webhook\s+ITEM\/NEW_ACCOUNTS_AVAILABLE\n/);
  expect(said).toMatch(/means\s+The user has an account .*\.\n/);
  expect(said).toMatch(/about\s+item item-1\n/);
  expect(said).toMatch(/reads\s+items, accounts, .*\n/);
  expect(said).toMatch(/processed\s+not yet\n/);
  expect(said).toMatch(/signed by key\s+kid-1\n/);
  expect(said).toContain('"public_token": "[cut]"');
  const shown = await cli.json("webhooks show", id);
  expect(shown).toMatchObject({ id, tokens_cut: true, webhook: { public_token: "[cut]" }, processed_at: null });
  for (const text of [said, JSON.stringify(shown)]) expect(text).not.toContain("8ab976e6");
  expect(await cli.refusal("webhooks show whk_nonsense")).toMatch(/^not_found: .*npx tartan webhooks list/);
  await world.database.query("update journal.webhooks set body = null, body_sha256 = sha256(body) where id = $1", [
    stored.id,
  ]);
  const { body_sha256 } = shown;
  expect(await cli.text("webhooks show", id)).toContain(
    `The body is no longer kept; its SHA-256 is ${String(body_sha256)}`,
  );
});

it("`tartan webhooks types` prints the webhooks that Tartan knows, all or those of a type", async () => {
  const said = await cli.text("webhooks types");
  expect(said).toMatch(
    /TRANSACTIONS\/SYNC_UPDATES_AVAILABLE\s+item, processor_account\s+.*accounts.*There are changes/,
  );
  expect(said).toMatch(/BEACON\/REPORT_CREATED \(deprecated\)/);
  const some = await cli.json<{ data: { type: string; code: string }[] }>("webhooks types --type LIABILITIES");
  expect(some.data).toMatchObject([{ type: "LIABILITIES", code: "DEFAULT_UPDATE", subjects: ["item"] }]);
  expect(await cli.refusal("webhooks types --type LIABILITY")).toMatch(
    /^invalid_request: .*it has ITEM, TRANSACTIONS, /,
  );
});

it("`tartan webhooks refusals` prints what was refused, why, and how often", async () => {
  expect(await cli.text("webhooks refusals")).toContain("Nothing was refused.");
  {
    await using refusals = openRefusals({ database: world.database, logger: silentLogger, clock: systemClock });
    const refusal = {
      integrationId: INTEGRATION,
      detail: "The signature is not Plaid's.",
      remoteAddress: "192.0.2.7",
      bodyBytes: 12,
    };
    for (const _ of [1, 2, 3]) refusals.record({ ...refusal, reason: "signature_invalid" });
    refusals.record({ ...refusal, integrationId: null, reason: "integration_unknown" });
  }
  const said = await cli.text("webhooks refusals");
  expect(said).toMatch(/svi_test\s+signature_invalid\s+3\s+192\.0\.2\.7\s+The signature is not Plaid's\./);
  expect(said).toContain("integration_unknown");
  const page = await cli.json<Page>("webhooks refusals --integration", INTEGRATION);
  expect(page.data).toMatchObject([{ reason: "signature_invalid", count: 3, remote_address: "192.0.2.7" }]);
  expect(await cli.refusal("webhooks refusals --limit 0")).toMatch(/^usage: .*whole number from 1 to 500/);
});

it("`tartan webhooks sent` says what Plaid got from you, and when", async () => {
  await world.database.query(
    `insert into silence.plaid_deliveries (integration_id, message_id, webhook_type, webhook_code, item_id, sent_at, status,
      last_http_status, attempts, last_attempt_at, to_intake, outcome)
    values ($1, 'wm_1', 'ITEM', 'ERROR', 'item-1', '2026-11-20T10:04:10Z', 'PENDING', 503, 1, '2026-11-20T10:04:11Z', true, 'open')`,
    [INTEGRATION],
  );
  expect(await cli.json<Page>("webhooks sent --item item-1")).toMatchObject({
    data: [{ message_id: "wm_1", attempts: 1 }],
  });
  expect(await cli.text(`webhooks sent --integration ${INTEGRATION} --status PENDING`)).toMatch(
    /ITEM\/ERROR\s+item-1\s+1\s+open\s+Plaid got 503 from you at 2026-11-20T10:04:11Z and tries again\./,
  );
  expect(await cli.refusal("webhooks sent --status LOST")).toMatch(/^invalid_request: .*status/);
});

it("`tartan webhooks unproven` prints what waits for its key, and shows nothing of its body", async () => {
  expect(await cli.text("webhooks unproven")).toContain("No webhook waits unproven.");
  const unproven = unprovenWebhook({
    body: webhookBody({ item_id: "item-9", public_token: "public-sandbox-secret-1" }),
  });
  await world.database.transaction((tx) => keepUnproven(tx, [unproven], null));
  const said = await cli.text("webhooks unproven");
  expect(said).toMatch(/TRANSACTIONS\/SYNC_UPDATES_AVAILABLE\s+item-9\s+kid-1\s+192\.0\.2\.7 \(not known\)/);
  const page = await cli.json<Page>("webhooks unproven --integration", INTEGRATION);
  expect(page.data).toMatchObject([{ id: toWebhookId(unproven.id), claims: { item_id: "item-9" }, vouched: false }]);
  expect(JSON.stringify(page) + said).not.toContain("public-sandbox");
  expect(await cli.refusal("webhooks unproven --limit 0")).toMatch(/^usage: .*whole number from 1 to 500/);
});

everyVerbIsRun(cli);
