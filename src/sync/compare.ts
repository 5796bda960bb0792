/**
 * Compares the answer of /item/get with what Tartan knows, to find changes that no webhook announced. Pure.
 *
 *   a webhook that Plaid says it sent and the journal does not have ─┐
 *   the item's own row differs from the mirror's                     ├──▶ a gap: recorded, and everything is read
 *   Plaid refuses the item                                          ─┘
 *   Plaid fetched from the bank since a resource was read,
 *   or does not say when it did so for that resource ────────────────────▶ stale: those resources are read
 *
 * `last_successful_update` moves with every contact with the bank, even when nothing changed, so it is no gap
 * by itself (https://plaid.com/docs/api/items/#itemget).
 */
import { isDeepStrictEqual } from "node:util";
import type { Seen } from "../integrations/checks.ts";
import type { Resource } from "../resources/types.ts";

type Json = Readonly<Record<string, unknown>>;

/** The last webhook that Plaid says it sent: its code and Plaid's instant. */
export interface LastWebhook {
  code_sent: string;
  sent_at: string;
}

/** The last reading of a resource. */
export interface LastReading {
  /** null: not to its end yet */
  verifiedAt: Date | null;
  readWith: string;
}

export interface Known {
  /** the item's row in the mirror; null when it was never read */
  row: Json | null;
  /** by resource; one that was never read, or that the item does not have, is missing */
  readings: ReadonlyMap<string, LastReading>;
  seen: Seen;
}

/** Clocks differ: an update that is older than a reading by less than this may still be one that the reading missed. */
const CLOCKS_DIFFER_MS = 30_000;

/** Plaid names whole seconds: another update may have followed in the same second, so a reading that soon may have missed it. */
const SAME_SECOND_MS = 2000;

/** `status` moves with every contact with the bank; it is compared by itself. */
export const COMPARED_OTHERWISE: ReadonlySet<string> = new Set(["status"]);

/** Names of the fields of the item's row that differ from the mirror's; a field that is absent equals one that is null. */
export function differingFields(mirrored: Json | null, now: Json): string[] {
  const fields = new Set([...Object.keys(mirrored ?? {}), ...Object.keys(now)]);
  const differs = (field: string): boolean => !isDeepStrictEqual(mirrored?.[field] ?? null, now[field] ?? null);
  return [...fields].filter((field) => !COMPARED_OTHERWISE.has(field) && differs(field)).toSorted();
}

/** The webhook that Plaid sent last; null if an earlier check saw it or Plaid names none. */
export function newWebhook(status: Json | null, seen: Seen): LastWebhook | null {
  const last = status?.["last_webhook"] as Partial<LastWebhook> | null | undefined;
  const { code_sent, sent_at } = last ?? {};
  if (typeof code_sent !== "string" || typeof sent_at !== "string" || Number.isNaN(Date.parse(sent_at))) return null;
  return sent_at === seen.last_webhook ? null : { code_sent, sent_at };
}

/** `last_successful_update` by product, for the products for which Plaid names it. */
export function updatesIn(status: Json | null): Record<string, string> {
  const named = Object.entries(status ?? {}).flatMap(([product, facts]) => {
    const at = (facts as { last_successful_update?: unknown } | null)?.last_successful_update;
    return typeof at === "string" && !Number.isNaN(Date.parse(at)) ? [[product, at] as const] : [];
  });
  return Object.fromEntries(named);
}

/** Names of the resources that may have newer rows at Plaid than in the last complete reading. */
export function staleResources(
  resources: readonly Resource[],
  { readings, seen }: Known,
  updates: Readonly<Record<string, string>>,
): string[] {
  const isStale = ({ name, updatedWith = [] }: Resource): boolean => {
    const reading = readings.get(name);
    if (!reading) return false;
    if (updatedWith === "unknown") return true;
    const named = updatedWith.filter((product) => updates[product]);
    if (reading.verifiedAt === null) return named.length > 0;
    const read = reading.verifiedAt.getTime();
    return named.some((product) => {
      const updated = Date.parse(updates[product] ?? "");
      const wasSeen = updates[product] === seen.updates?.[product];
      return wasSeen ? updated > read - SAME_SECOND_MS : updated > read - CLOCKS_DIFFER_MS;
    });
  };
  return resources.filter(isStale).map(({ name }) => name);
}
