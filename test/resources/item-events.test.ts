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
  it("is updated when a field says something else, and each is named", () => {
    const after = { ...ITEM, products: ["auth", "transactions"], webhook: "https://x", consent_expiration_time: null };
    expect(itemEvents(snapshot({ after }))).toEqual([
      { type: "item.updated", data: { changed: ["products", "webhook"], item: after } },
    ]);
  });

  it("is not updated by its status, by its error, by the order of fields, nor when it is first seen", () => {
    expect(types({ after: { ...ITEM, status: { last_webhook: { code_sent: "X" } } } })).toEqual([]);
    expect(types({ after: { ...ITEM, error: LOGIN } })).toEqual(["item.error"]);
    expect(types({ after: Object.fromEntries(Object.entries(ITEM).toReversed()) })).toEqual([]);
    expect(types({ before: null, first: true })).toEqual([]);
    expect(types({ before: null })).toEqual([]);
    expect(types({ after: null })).toEqual([]);
  });

  it("is in an error once for each code", () => {
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

  it("is repaired when the error is gone", () => {
    expect(itemEvents(snapshot({ before: { ...ITEM, error: LOGIN } }))).toEqual([
      { type: "item.repaired", data: { previous_error_code: "ITEM_LOGIN_REQUIRED", item: ITEM } },
    ]);
  });

  it("whose consent ends is told once, however often Plaid says so, also where its row could not be read", () => {
    const webhooks = [
      { type: "ITEM", code: "PENDING_DISCONNECT" },
      { type: "ITEM", code: "PENDING_DISCONNECT" },
      { type: "OTHER", code: "PENDING_EXPIRATION" },
    ];
    const after = { ...ITEM, consent_expiration_time: "2027-01-01T00:00:00Z" };
    expect(itemEvents(snapshot({ before: null, after, webhooks }))).toEqual([
      {
        type: "item.consent_expiring",
        data: { reason: "PENDING_DISCONNECT", consent_expiration_time: "2027-01-01T00:00:00Z", item: after },
      },
    ]);
    expect(itemEvents(snapshot({ before: null, after: null, webhooks }))).toMatchObject([
      { data: { consent_expiration_time: null, item: null } },
    ]);
  });

  it("that is gone is removed, and nothing else is told of it", () => {
    expect(
      itemEvents(snapshot({ after: { ...ITEM, error: LOGIN }, gone: { errorCode: "USER_PERMISSION_REVOKED" } })),
    ).toEqual([{ type: "item.removed", data: { reason: "ended", error_code: "USER_PERMISSION_REVOKED" } }]);
  });
});
