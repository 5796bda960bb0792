/** The events that are derived from an Item's row before and after a run. */
import { describe, expect, it } from "vitest";
import { itemEvents } from "../../src/resources/item-events.ts";
import type { Snapshot } from "../../src/resources/types.ts";

const ITEM = { item_id: "i", products: ["auth"], webhook: null, error: null, status: { last_webhook: null } };
const LOGIN = { error_type: "ITEM_ERROR", error_code: "ITEM_LOGIN_REQUIRED" };
const snapshot = (more: Partial<Snapshot>): Snapshot => ({
  before: ITEM,
  after: ITEM,
  first: false,
  webhooks: [],
  gone: null,
  ...more,
});
const types = (more: Partial<Snapshot>): string[] => itemEvents(snapshot(more)).map(({ type }) => type);

describe("an item", () => {
  it("item.updated names each changed field of the item", () => {
    const after = { ...ITEM, products: ["auth", "transactions"], webhook: "https://x", consent_expiration_time: null };
    expect(itemEvents(snapshot({ after }))).toEqual([
      { type: "item.updated", data: { changed: ["products", "webhook"], item: after } },
    ]);
  });

  it("item.updated is not recorded for the status, the error, the order of fields or the first reading", () => {
    expect(types({ after: { ...ITEM, status: { last_webhook: { code_sent: "X" } } } })).toEqual([]);
    expect(types({ after: { ...ITEM, error: LOGIN } })).toEqual(["item.error"]);
    expect(types({ after: Object.fromEntries(Object.entries(ITEM).toReversed()) })).toEqual([]);
    expect(types({ before: null, first: true })).toEqual([]);
    expect(types({ before: null })).toEqual([]);
    expect(types({ after: null })).toEqual([]);
  });

  it("item.error is recorded once for each error code", () => {
    const ill = { ...ITEM, error: LOGIN };
    expect(itemEvents(snapshot({ after: ill }))).toEqual([{ type: "item.error", data: { error: LOGIN, item: ill } }]);
    expect(types({ before: null, first: true, after: ill })).toEqual(["item.error"]);
    // unchanged, so the run does not say what it was
    expect(types({ before: null, after: ill })).toEqual([]);
    expect(types({ before: ill, after: { ...ill, error: { ...LOGIN, display_message: "new" } } })).toEqual([]);
    expect(types({ before: ill, after: { ...ill, error: { ...LOGIN, error_code: "ITEM_LOCKED" } } })).toEqual([
      "item.error",
    ]);
  });

  it("item.repaired is recorded when the error is gone", () => {
    expect(itemEvents(snapshot({ before: { ...ITEM, error: LOGIN } }))).toEqual([
      { type: "item.repaired", data: { previous_error_code: "ITEM_LOGIN_REQUIRED", item: ITEM } },
    ]);
  });

  it("item.consent_expiring is recorded once, however often Plaid announces it, even if the item could not be read", () => {
    const webhooks = [
      { type: "ITEM", code: "PENDING_DISCONNECT" },
      { type: "ITEM", code: "PENDING_DISCONNECT", body: { disconnect_time: "2026-12-24T00:00:00Z" } },
      { type: "OTHER", code: "PENDING_EXPIRATION" },
    ];
    const after = { ...ITEM, consent_expiration_time: "2027-01-01T00:00:00Z" };
    expect(itemEvents(snapshot({ before: null, after, webhooks }))).toEqual([
      {
        type: "item.consent_expiring",
        data: {
          reason: "PENDING_DISCONNECT",
          consent_expiration_time: "2027-01-01T00:00:00Z",
          disconnect_time: "2026-12-24T00:00:00Z",
          item: after,
        },
      },
    ]);
    expect(itemEvents(snapshot({ before: null, after: null, webhooks }))).toMatchObject([
      { data: { consent_expiration_time: null, item: null } },
    ]);
  });

  it("what only a webhook says of an item is recorded once: new accounts, each revoked account, each product that was not granted", () => {
    const said = (type: string, code: string, body?: Record<string, unknown>) => ({ type, code, body });
    const webhooks = [
      said("ITEM", "NEW_ACCOUNTS_AVAILABLE"),
      said("ITEM", "NEW_ACCOUNTS_AVAILABLE", {}),
      said("ITEM", "USER_ACCOUNT_REVOKED", { account_id: "a" }),
      said("ITEM", "USER_ACCOUNT_REVOKED", { account_id: "b" }),
      said("ITEM", "USER_ACCOUNT_REVOKED", { account_id: "a" }),
      said("IDENTITY", "PRODUCT_PERMISSIONS_REQUIRED"),
      said("LIABILITIES", "PRODUCT_PERMISSIONS_REQUIRED"),
    ];
    expect(itemEvents(snapshot({ webhooks })).map(({ type, data: { item, ...data } }) => [type, data, item])).toEqual([
      ["item.new_accounts", {}, ITEM],
      ["item.account_revoked", { account_id: "a" }, ITEM],
      ["item.account_revoked", { account_id: "b" }, ITEM],
      ["item.permissions_required", { product: "identity" }, ITEM],
    ]);
    for (const body of [undefined, {}, { account_id: 7 }, { account_id: "" }])
      expect(itemEvents(snapshot({ webhooks: [said("ITEM", "USER_ACCOUNT_REVOKED", body)] }))).toMatchObject([
        { data: { account_id: null } },
      ]);
  });

  it("item.removed is the only event about an item that is gone", () => {
    expect(
      itemEvents(snapshot({ after: { ...ITEM, error: LOGIN }, gone: { errorCode: "USER_PERMISSION_REVOKED" } })),
    ).toEqual([{ type: "item.removed", data: { reason: "ended", error_code: "USER_PERMISSION_REVOKED" } }]);
  });
});
