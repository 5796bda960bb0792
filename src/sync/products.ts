/**
 * Decides which resources a subject has, by the products in its own row. Requesting a resource could add its product and
 * bill it, so this decides what a run requests, and which resources count in the subject's `verified_at`.
 */
import { resourcesOf, rootOf } from "../resources/index.ts";
import type { Resource } from "../resources/types.ts";
import type { Absence } from "./cursor-queries.ts";
import type { Outcome } from "./types.ts";

/** By this Plaid says that it had made the resource, and no longer shows it. What was read of it stays. */
const NO_LONGER_SHOWN = "CONSUMER_REPORT_EXPIRED";

/** The products in the subject's own row; null when the row is not known or has no list of them. */
export function productsIn(
  row: Readonly<Record<string, unknown>> | null,
  productsAt: readonly string[] | undefined,
): ReadonlySet<unknown> | null {
  const lists = (productsAt ?? []).map((at) => row?.[at]).filter((list) => Array.isArray(list));
  return lists.length > 0 ? new Set(lists.flat()) : null;
}

/** Whether one of the products is the resource's; a resource that needs no product is always present. */
export const hasProduct = ({ products }: Resource, listed: ReadonlySet<unknown>): boolean =>
  products === undefined || products.some((product) => listed.has(product));

/**
 * What a run has learned about its subject's resources: resource → how it is absent, or null where the subject has
 * it. Only differences from `before`, and nothing about a resource that was read, since that is stored with its cursor.
 */
export function learnAbsences(
  kind: string,
  outcomes: readonly Outcome[],
  before: ReadonlyMap<string, { absent: Absence | null; complete: boolean }>,
): Map<string, Absence | null> {
  const own = rootOf(resourcesOf(kind));
  const root = outcomes.find(({ task }) => task.resource === own);
  const listed = root && "read" in root ? productsIn(root.root, own?.productsAt) : null;
  const learned = new Map<string, Absence | null>();
  for (const resource of resourcesOf(kind)) {
    const known = before.get(resource.name) ?? { absent: null, complete: false };
    const was = known.absent;
    const is = absence(resource, known, outcomes, listed);
    if (is !== was) learned.set(resource.name, is);
  }
  return learned;
}

function absence(
  resource: Resource,
  { absent: was, complete: wasRead }: { absent: Absence | null; complete: boolean },
  outcomes: readonly Outcome[],
  listed: ReadonlySet<unknown> | null,
): Absence | null {
  const outcome = outcomes.find(({ task }) => task.resource === resource);
  if (outcome && "read" in outcome) return was;
  if (outcome && "skipped" in outcome) return "not_listed";
  if (outcome?.failure.class === "product_unavailable")
    return wasRead && outcome.failure.errorCode === NO_LONGER_SHOWN ? was : "refused";
  if (listed === null) return was;
  if (!hasProduct(resource, listed)) return "not_listed";
  return was === "not_listed" ? null : was;
}
