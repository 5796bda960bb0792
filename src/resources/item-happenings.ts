/**
 * What can be told of an Item from two looks at it. What a webhook said counts only where /item/get has no word for it:
 * that the consent will end is announced, and stands in the row only for some institutions.
 */
import { isDeepStrictEqual } from "node:util";
import type { Happening, Look } from "./types.ts";

type Item = Readonly<Record<string, unknown>>;

/** `status` moves with every look that Plaid takes at the bank; `error` has events of its own. */
const TOLD_OTHERWISE: ReadonlySet<string> = new Set(["status", "error"]);
const EXPIRY = ["PENDING_EXPIRATION", "PENDING_DISCONNECT"];

/** The events of an Item, in the order in which they are told. */
export function itemHappenings(look: Look): Happening[] {
  if (look.gone) return [{ type: "item.removed", data: { reason: "ended", error_code: look.gone.errorCode } }];
  return [...updated(look), ...ailing(look), ...expiring(look)];
}

function updated({ before, after, first }: Look): Happening[] {
  if (!before || !after || first) return [];
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => !TOLD_OTHERWISE.has(key),
  );
  // A field that is absent and one that is null say the same.
  const changed = fields.filter((key) => !isDeepStrictEqual(before[key] ?? null, after[key] ?? null)).toSorted();
  return changed.length > 0 ? [{ type: "item.updated", data: { changed, item: after } }] : [];
}

function ailing({ before, after, first }: Look): Happening[] {
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

function expiring({ after, webhooks }: Look): Happening[] {
  const announced = EXPIRY.filter((code) =>
    webhooks.some((webhook) => webhook.type === "ITEM" && webhook.code === code),
  );
  return announced.map((reason) => ({
    type: "item.consent_expiring",
    data: { reason, consent_expiration_time: after?.["consent_expiration_time"] ?? null, item: after },
  }));
}

function errorOf(item: Item | null): Item | null {
  const error = item?.["error"];
  return typeof error === "object" && error !== null ? (error as Item) : null;
}
