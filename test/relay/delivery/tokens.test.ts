/** Where Plaid's tokens go: nowhere, but to who is passed the bytes that Plaid signed. */
import { expect, it } from "vitest";
import { append } from "../../../src/journal/append.ts";
import { toDeliveryId } from "../../../src/model/ids.ts";
import { getDelivery } from "../../../src/relay/ledger/deliveries.ts";
import { webhook } from "../../support/webhook.ts";
import { until } from "../../support/until.ts";
import { startWorld } from "../../support/world/index.ts";
import { ORIGINAL } from "../support.ts";

const SECRET = "b0e2c4ee-a763-4df5-bfe9-46a46bce993d";

it("only a route with the form original passes the tokens of a LINK webhook, as part of the bytes that Plaid signed", async () => {
  await using world = await startWorld({ relay: {} });
  const [original, wrapped, transformed] = [
    await world.relay.receiver(),
    await world.relay.receiver(),
    await world.relay.receiver(),
  ];
  await world.relay.destination(original, {}, ORIGINAL);
  await world.relay.destination(wrapped, {}, { form: "webhook" });
  await world.relay.destination(transformed, {}, { form: "transform", transform: "$" });
  const relay = await world.relay.start();
  const body = Buffer.from(
    `{\n  "webhook_type": "LINK", "amount": 1.10, "link_token": "link-sandbox-${SECRET}", "public_tokens": ["public-sandbox-${SECRET}"]\n}`,
  );
  await append(world.database, [webhook({ itemId: null, webhookType: "LINK", body })]);
  await relay.idle();
  expect(original.received[0]?.body.equals(body)).toBe(true);
  expect(original.received[0]?.headers["plaid-verification"]).toBe("header.claims.signature");
  for (const { received } of [wrapped, transformed]) {
    expect(received).toHaveLength(1);
    expect(received[0]?.body.toString()).not.toContain(SECRET);
    expect(JSON.parse(received[0]?.body.toString() ?? "")).toMatchObject({
      data: { tokens_cut: true, webhook: { link_token: "[cut]", public_tokens: ["[cut]"] } },
    });
  }
  expect(wrapped.received[0]?.body.toString()).toContain('"amount": 1.10, "link_token": "[cut]"');
});

it("no token that a receiver sends back is stored or shown with its answer", async () => {
  await using world = await startWorld({ relay: {} });
  const { database } = world;
  const receiver = await world.relay.receiver();
  await world.relay.destination(receiver, {}, ORIGINAL);
  const body = Buffer.from(`{"webhook_type": "LINK", "public_token": "public-sandbox-${SECRET}"}`);
  receiver.answer = ({ body: sent }) => ({
    status: 500,
    body: sent,
    headers: { "x-echo": `public-sandbox-${SECRET}` },
  });
  await world.relay.start();
  await append(database, [webhook({ itemId: null, webhookType: "LINK", body })]);
  const stored = async () =>
    (
      await database.query<{ id: string; answer: string }>(
        "select delivery_id as id, convert_from(response_head, 'UTF8') || response_headers::text as answer from relay.attempts",
      )
    ).rows[0];
  await until("it is recorded", async () => (await stored()) !== undefined);
  const { id, answer } = (await stored()) ?? { id: "", answer: "" };
  expect(answer).toContain('"public_token": "[cut]"');
  expect(answer).toMatch(/"x-echo": ?"\[cut\]"/);
  expect(answer).not.toContain(SECRET);
  const shown = async () => JSON.stringify((await getDelivery(database, toDeliveryId(id)))?.log);
  expect(await shown()).toContain("[cut]");
  expect(await shown()).not.toContain(SECRET);
  await database.query("update relay.attempts set response_head = $1, response_headers = $2", [
    body,
    { "x-echo": `public-sandbox-${SECRET}` },
  ]);
  expect(await shown()).toContain("x-echo");
  expect(await shown()).not.toContain(SECRET);
});
