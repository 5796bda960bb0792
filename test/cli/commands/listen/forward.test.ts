/** `tartan listen --original` forwards the bytes that Plaid signed, or nothing. */
import { describe, expect, it } from "vitest";
import { originalOf, type LiveEvent } from "../../../../src/cli/commands/listen/forward.ts";
import { render } from "../../../../src/relay/content/body.ts";
import type { EventSource } from "../../../../src/relay/model/types.ts";

const source = (bytes: Buffer, verification: string | null = "a.b.c"): EventSource => ({
  id: "0192f0c1-0000-7000-8000-000000000001",
  type: "webhook.received",
  integrationId: "svi_1",
  environment: "sandbox",
  itemId: "item",
  userId: null,
  subjectKind: null,
  subjectId: null,
  history: false,
  webhookType: "ITEM",
  webhookCode: "ERROR",
  source: "PLAID",
  occurredAt: new Date(),
  bytes,
  verification,
  keyId: "key",
  signedAt: new Date(),
});

const forwarded = (given: EventSource, meanwhile = (text: string) => text) => {
  const text = meanwhile(render(given, "event").toString());
  return originalOf(JSON.parse(text) as LiveEvent, text);
};

describe("the original of a webhook", () => {
  it.each([
    ['{\n  "a": 1.10,\n  "ü": "\\u00fc 🦊",\n  "n": 12345678901234567890\n}'],
    [' \t{"a":[{}, "]}"]}\n\n'],
    ['"body_base64":null'],
    ["not JSON at all \\ { "],
    ["[]"],
  ])("the original webhook %j is found byte for byte", (body) => {
    const bytes = Buffer.from(body);
    expect(forwarded(source(bytes))).toEqual({ body: bytes, headers: { "plaid-verification": "a.b.c" } });
  });

  it("a webhook has no original when a byte of it was changed or Plaid did not sign it", () => {
    const bytes = Buffer.from('{\r\n"a": 1}');
    expect(forwarded(source(bytes))).not.toBeNull();
    expect(forwarded(source(bytes), (text) => text.replaceAll("\r\n", "\n"))).toBeNull();
    expect(forwarded(source(bytes, null))).toBeNull();
  });
});
