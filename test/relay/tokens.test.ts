/** Where Plaid's tokens go: nowhere, but to who is passed the bytes that Plaid signed. */
import { expect, it } from "vitest";
import { append } from "../../src/journal/append.ts";
import { webhook } from "../journal/support.ts";
import { openScene, ORIGINAL } from "./scene.ts";

const SECRET = "b0e2c4ee-a763-4df5-bfe9-46a46bce993d";

it("only a route with the form original passes the tokens of a LINK webhook, as part of the bytes that Plaid signed", async () => {
  await using scene = await openScene();
  const [original, wrapped, transformed] = [await scene.receiver(), await scene.receiver(), await scene.receiver()];
  await scene.destination(original, {}, ORIGINAL);
  await scene.destination(wrapped, {}, { form: "webhook" });
  await scene.destination(transformed, {}, { form: "transform", transform: "$" });
  const relay = await scene.relay();
  const body = Buffer.from(
    `{\n  "webhook_type": "LINK", "amount": 1.10, "link_token": "link-sandbox-${SECRET}", "public_tokens": ["public-sandbox-${SECRET}"]\n}`,
  );
  await append(scene.database, [webhook({ itemId: null, webhookType: "LINK", body })]);
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
