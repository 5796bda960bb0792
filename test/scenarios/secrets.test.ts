/**
 * After a full run, tokens and secrets are searched for byte by byte, in every encoding in which they could have slipped
 * through: in every table, in every log line, in every answer of the API.
 */
import { expect, it } from "vitest";
import { queueDepth } from "../../src/sync/depth.ts";
import { ADMIN_KEY, startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

it("no token or secret is found in any table outside its sealed column, any log line, or any answer", async () => {
  await using world = await startWorld({ simulator: { seed: "secrets" }, integration: {}, processes: {} });
  const tartan = await world.processes.start(["up"], { TARTAN_LOG_LEVEL: "trace" });
  const items = world.integration.makeItemsFor(tartan, 3, 40);
  for (const item of items) await world.integration.linkAt(tartan, item, "user-1");
  await badRequests(world, tartan.url, items[0]?.access_token ?? "");
  world.simulator.control.breakItem(items[1]?.item_id ?? "");
  world.simulator.control.addFault({ kind: "server_error", count: 2 });
  for (const { item_id } of items) world.simulator.control.changeTransactions(item_id, { add: 3, modify: 2 });
  await world.simulator.control.idle();
  await until("an empty queue", async () => {
    const { due, running } = await queueDepth(world.database);
    return due + running === 0;
  });

  const secrets: Record<string, string> = {
    "client secret": world.simulator.secret,
    "webhook secret": world.integration.webhook_secret,
    "admin key": ADMIN_KEY,
    ...Object.fromEntries(items.map(({ access_token }, index) => [`access token ${index}`, access_token])),
  };
  const answers = await everyAnswer(tartan.url, world, items[0]?.item_id ?? "");
  await tartan.stop();

  const places = { ...(await everyTable(world)), ...answers, "the log": tartan.output.join("\n") };
  expect(Object.keys(places).length).toBeGreaterThan(15);
  for (const [place, text] of Object.entries(places)) {
    for (const [name, secret] of Object.entries(secrets)) {
      for (const encoded of encodings(secret)) {
        expect(text.includes(encoded), `${name} in ${place}`).toBe(false);
      }
    }
  }
});

function encodings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString("hex"), bytes.toString("base64"), encodeURIComponent(secret)];
}

/** A token where none belongs: in a wrong field, with a wrong secret, in a broken body. */
async function badRequests(
  { integration }: World<"integration" | "processes">,
  url: string,
  token: string,
): Promise<void> {
  const intake = `${url}/v1/integrations/${integration.id}`;
  const post = (body: string, secret: string) =>
    fetch(intake, { method: "POST", headers: { "whdb-webhook-secret": secret }, body });
  await post(JSON.stringify({ webhook_type: "ITEM", webhook_code: "CREATED", access_token: token }), "a wrong secret");
  await post(
    JSON.stringify({ webhook_type: "ITEM", webhook_code: "CREATED", access_token: token }),
    integration.webhook_secret,
  );
  await post(`{"webhook_type":"ITEM","access_token":"${token}"`, integration.webhook_secret);
  await post(
    JSON.stringify({ webhook_type: "ITEM", webhook_code: "UPDATED", item_id: "x", access_token: token }),
    integration.webhook_secret,
  );
  await fetch(`${url}/v1/items`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ item_id: "y", access_token: token, wrong: token }),
  });
}

/** Every table as text, without the sealed columns. */
async function everyTable({ database }: World): Promise<Record<string, string>> {
  const { rows: columns } = await database.query<{ table: string; columns: string }>(`
    select format('%I.%I', n.nspname, c.relname) as table,
      string_agg(format('%I::text', a.attname), ', ') filter (where a.attname not like '%\\_sealed') as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p', 'u') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    group by 1`);
  const tables: Record<string, string> = {};
  for (const { table, columns: list } of columns) {
    const { rows } = await database.query(`select ${list} from ${table}`);
    tables[`table ${table}`] = JSON.stringify(rows);
  }
  return tables;
}

async function everyAnswer(
  url: string,
  { integration }: World<"integration" | "processes">,
  itemId: string,
): Promise<Record<string, string>> {
  const paths = [
    "/v1/integrations",
    `/v1/integrations/${integration.id}`,
    "/v1/items",
    `/v1/items/${itemId}`,
    `/v1/items/${itemId}/runs`,
    "/v1/webhooks?limit=500",
    "/v1/refusals",
    "/v1/status",
    "/metrics",
    "/readyz",
    "/openapi.json",
    "/docs",
  ];
  const answers: Record<string, string> = {};
  for (const path of paths) {
    const answer = await fetch(url + path, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
    expect(answer.status, path).toBe(200);
    answers[`GET ${path}`] = await answer.text();
  }
  return answers;
}
