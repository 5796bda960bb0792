/**
 * The events that are derived from an Item's row before and after a run. A webhook counts only where /item/get has no field for it:
 * that the consent will end is announced, and stands in the row only for some institutions; that there are accounts which the Item does
 * not include, that one was revoked, or that the user did not grant a product, is only announced.
 */
import { isDeepStrictEqual } from "node:util";
import type { DerivedEvent, Snapshot, Touch } from "./types.ts";

type Item = Readonly<Record<string, unknown>>;

/** `status` changes with every visit of Plaid to the bank; `error` has events of its own. */
const WITHOUT_UPDATE: ReadonlySet<string> = new Set(["status", "error"]);
const EXPIRY = ["PENDING_EXPIRATION", "PENDING_DISCONNECT"];
const PERMISSIONS = "PRODUCT_PERMISSIONS_REQUIRED";
/** Each is Plaid's product in capitals. */
const PRODUCTS = ["AUTH", "IDENTITY"];

/** The webhooks that announce something. */
export const ANNOUNCEMENTS: readonly Touch[] = [
  { type: "ITEM", codes: [...EXPIRY, "NEW_ACCOUNTS_AVAILABLE", "USER_ACCOUNT_REVOKED"] },
  ...PRODUCTS.map((type) => ({ type, codes: [PERMISSIONS] })),
];

/** The events of an Item, in the order in which they are recorded. */
export function itemEvents(snapshot: Snapshot): DerivedEvent[] {
  const { gone } = snapshot;
  if (gone) return [{ type: "item.removed", data: { reason: "ended", error_code: gone.errorCode } }];
  return [...updated(snapshot), ...erred(snapshot), ...announced(snapshot)];
}

function updated({ before, after, first }: Snapshot): DerivedEvent[] {
  if (!before || !after || first) return [];
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => !WITHOUT_UPDATE.has(key),
  );
  // A field that is absent and one that is null say the same.
  const changed = fields.filter((key) => !isDeepStrictEqual(before[key] ?? null, after[key] ?? null)).toSorted();
  return changed.length > 0 ? [{ type: "item.updated", data: { changed, item: after } }] : [];
}

function erred({ before, after, first }: Snapshot): DerivedEvent[] {
  if (!after || (!before && !first)) return [];
  const [was, is] = [errorOf(before), errorOf(after)];
  if (is && is["error_code"] !== was?.["error_code"]) {
    return [{ type: "item.error", data: { error: is, item: after } }];
  }
  if (was && !is) {
    return [{ type: "item.repaired", data: { previous_error_code: was["error_code"] ?? null, item: after } }];
  }
  return [];
}

function announced({ after, webhooks }: Snapshot): DerivedEvent[] {
  const bodiesOf = (type: string, code: string): readonly Item[] =>
    webhooks.filter((webhook) => webhook.type === type && webhook.code === code).map(({ body }) => body ?? {});
  const expiring = EXPIRY.flatMap((reason) =>
    bodiesOf("ITEM", reason)
      .slice(-1)
      .map(({ disconnect_time, consent_expiration_time }) => ({
        type: "item.consent_expiring",
        data: {
          reason,
          consent_expiration_time: after?.["consent_expiration_time"] ?? textOf(consent_expiration_time),
          disconnect_time: textOf(disconnect_time),
          item: after,
        },
      })),
  );
  const accounts = new Set(bodiesOf("ITEM", "USER_ACCOUNT_REVOKED").map(({ account_id }) => textOf(account_id)));
  const products = PRODUCTS.filter((type) => bodiesOf(type, PERMISSIONS).length > 0);
  return [
    ...expiring,
    ...(bodiesOf("ITEM", "NEW_ACCOUNTS_AVAILABLE").length > 0
      ? [{ type: "item.new_accounts", data: { item: after } }]
      : []),
    ...[...accounts].map((account_id) => ({ type: "item.account_revoked", data: { account_id, item: after } })),
    ...products.map((type) => ({
      type: "item.permissions_required",
      data: { product: type.toLowerCase(), item: after },
    })),
  ];
}

const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

function errorOf(item: Item | null): Item | null {
  const error = item?.["error"];
  return typeof error === "object" && error !== null ? (error as Item) : null;
}
