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

  test("an institution is the subject of alerts about it, and not of webhooks of an unknown type that mention it", () => {
    const about = (webhook_type: string) => read({ webhook_type, webhook_code: "X", institution_id: "ins_1" }).subject;
    expect(about("DASHBOARD_CONFIGURED_ALERT")).toEqual({ kind: "institution", id: "ins_1" });
    expect(about("NEW_TYPE")).toBeNull();
  });

  test.each([
    ["ASSETS", "PRODUCT_READY", { asset_report_id: "a", user_id: "u" }, { kind: "asset_report", id: "a" }],
    ["TRANSFER", "TRANSFER_EVENTS_UPDATE", {}, { kind: "transfer_ledger", id: "all" }],
    ["TRANSFER", "RECURRING_CANCELLED", { recurring_transfer_id: "r" }, { kind: "recurring_transfer", id: "r" }],
    ["TRANSFER", "A_NEW_CODE", { recurring_transfer_id: "r" }, null],
    ["INCOME", "BANK_INCOME_COMPLETE", { user_id: "u" }, { kind: "user", id: "u" }],
    ["INCOME", "INCOME_VERIFICATION", { item_id: "i", user_id: "u" }, { kind: "user", id: "u" }],
    ["INCOME", "INCOME_VERIFICATION", { item_id: "i" }, { kind: "item", id: "i" }],
    ["TRANSACTIONS", "SYNC_UPDATES_AVAILABLE", { account_id: "a" }, { kind: "processor_account", id: "a" }],
    ["TRANSACTIONS", "A_NEW_CODE", { account_id: "a" }, { kind: "processor_account", id: "a" }],
    ["AUTH", "AUTOMATICALLY_VERIFIED", { item_id: "i", account_id: "a" }, { kind: "item", id: "i" }],
    ["AUTH", "AUTOMATICALLY_VERIFIED", { account_id: "a" }, null],
    ["PROCESSOR_TOKEN", "WEBHOOK_UPDATE_ACKNOWLEDGED", { account_id: "a" }, { kind: "processor_account", id: "a" }],
    [
      "LAYER",
      "LAYER_AUTHENTICATION_PASSED",
      { link_session_id: "l", link_token: "t" },
      { kind: "link_session", id: "l" },
    ],
    ["BEACON", "USER_STATUS_UPDATED", { beacon_user_id: "b" }, null],
    ["PROTECT", "PROTECT_USER_EVENT", { event_id: "e", user_id: "u" }, null],
    ["ASSETS", "PRODUCT_READY", { asset_report_id: 7, user_id: "u" }, null],
  ])("%s/%s with %j is about %j", (webhook_type, webhook_code, fields, subject) => {
    expect(read({ webhook_type, webhook_code, ...fields }).subject).toEqual(subject);
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
