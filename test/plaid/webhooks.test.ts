import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readWebhook } from "../../src/plaid/webhooks.ts";

const read = (fields: unknown) => readWebhook(Buffer.from(JSON.stringify(fields)));
const NOTHING = { type: null, code: null, itemId: null, environment: null, subject: null };

describe("what a webhook is about", () => {
  test("a webhook of any type with an item_id has that item as its subject", () => {
    expect(
      read({ webhook_type: "NEW_TYPE", webhook_code: "NEW_CODE", item_id: "i1", environment: "production" }),
    ).toEqual({
      type: "NEW_TYPE",
      code: "NEW_CODE",
      itemId: "i1",
      environment: "production",
      subject: { kind: "item", id: "i1" },
    });
  });

  test("an institution is the subject of alerts about it, and not of other webhooks that mention it", () => {
    const about = (webhook_type: string) => read({ webhook_type, webhook_code: "X", institution_id: "ins_1" }).subject;
    expect(about("DASHBOARD_CONFIGURED_ALERT")).toEqual({ kind: "institution", id: "ins_1" });
    expect(about("ISSUES")).toEqual({ kind: "institution", id: "ins_1" });
    expect(about("PARTNER")).toBeNull();
    const partner = { webhook_type: "PARTNER", webhook_code: "END_CUSTOMER_OAUTH_STATUS_UPDATED" };
    expect(read({ ...partner, institution_id: "ins_1" }).subject).toEqual({ kind: "institution", id: "ins_1" });
  });

  test("webhooks about users, reports, payments and transfers have no subject yet, and are read", () => {
    const webhooks = [
      { webhook_type: "ASSETS", webhook_code: "PRODUCT_READY", asset_report_id: "a" },
      { webhook_type: "TRANSFER", webhook_code: "TRANSFER_EVENTS_UPDATE" },
      { webhook_type: "INCOME", webhook_code: "BANK_INCOME_COMPLETE", user_id: "u" },
      { webhook_type: "TRANSACTIONS", webhook_code: "SYNC_UPDATES_AVAILABLE", account_id: "a" },
    ];
    for (const one of webhooks)
      expect(read(one)).toMatchObject({ type: one.webhook_type, itemId: null, subject: null });
  });

  test("a body that is not an object has no subject", () => {
    for (const text of ["", "null", "[]", '"x"', "1", "{", "\0", "[[[[", "{}"])
      expect(readWebhook(Buffer.from(text))).toEqual(NOTHING);
    expect(readWebhook(Buffer.from([0xff, 0xfe, 0x7b]))).toEqual(NOTHING);
  });

  test("fields of a webhook that a column cannot hold are null, and the others are kept", () => {
    for (const item_id of [
      "",
      "a\0b",
      "\ud800",
      "x".repeat(256),
      "x".repeat(1_000_000),
      1,
      true,
      null,
      {},
      ["i"],
      "a\nb",
    ])
      expect(read({ webhook_type: "ITEM", webhook_code: "ERROR", item_id })).toEqual({
        ...NOTHING,
        type: "ITEM",
        code: "ERROR",
      });
    expect(read({ webhook_type: "Überweisung 💶", item_id: "i" })).toMatchObject({ type: "Überweisung 💶" });
  });

  test("a body cannot set its subject through its prototype", () => {
    const text = '{"__proto__":{"item_id":"i1"},"constructor":{"item_id":"i1"}}';
    expect(readWebhook(Buffer.from(text))).toEqual(NOTHING);
  });

  test("reading any body never throws", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readWebhook(Buffer.from(bytes))));
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (webhook_type, item_id, environment) => {
        const { itemId } = read({ webhook_type, item_id, environment });
        if (itemId !== null) expect(itemId).toBe(item_id);
      }),
    );
  });
});
