/**
 * The events that are derived from an Item's row before and after a run. A webhook counts only where /item/get has no field for it:
 * that the consent will end is announced, and stands in the row only for some institutions.
 */
import { isDeepStrictEqual } from "node:util";
import type { DerivedEvent, Snapshot } from "./types.ts";

type Item = Readonly<Record<string, unknown>>;

/** `status` changes with every visit of Plaid to the bank; `error` has events of its own. */
const WITHOUT_UPDATE: ReadonlySet<string> = new Set(["status", "error"]);
const EXPIRY = ["PENDING_EXPIRATION", "PENDING_DISCONNECT"];

/** The events of an Item, in the order in which they are recorded. */
export function itemEvents(snapshot: Snapshot): DerivedEvent[] {
  const { gone } = snapshot;
  if (gone) return [{ type: "item.removed", data: { reason: "ended", error_code: gone.errorCode } }];
  return [...updated(snapshot), ...erred(snapshot), ...expiring(snapshot)];
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

function expiring({ after, webhooks }: Snapshot): DerivedEvent[] {
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
