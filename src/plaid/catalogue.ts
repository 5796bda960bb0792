/**
 * The catalogue of webhooks: every pair of type and code that Plaid sends, with what it is about and what it means. Plaid's API
 * describes them in texts only (tests hold the catalogue to its OpenAPI document and to its SDK). Plaid adds types and codes at
 * any time, and has renamed one, so a webhook that is not here has a subject too, if its body lets it be known.
 *
 * The resources say which webhooks they are read after (`touchedBy`); a test holds both together.
 */
import { ITEM_WEBHOOKS } from "./catalogue/items.ts";
import { MONEY_WEBHOOKS } from "./catalogue/money.ts";
import { OTHER_WEBHOOKS } from "./catalogue/others.ts";
import { PRODUCT_WEBHOOKS } from "./catalogue/products.ts";
import { ITEM, type KnownWebhook, type SubjectRule } from "./catalogue/types.ts";
import { USER_WEBHOOKS } from "./catalogue/users.ts";

export type { ItemEffect, KnownWebhook, SubjectRule } from "./catalogue/types.ts";

/** All of them, in the order in which they are listed. */
export const CATALOGUE: readonly KnownWebhook[] = [
  ...ITEM_WEBHOOKS,
  ...PRODUCT_WEBHOOKS,
  ...USER_WEBHOOKS,
  ...MONEY_WEBHOOKS,
  ...OTHER_WEBHOOKS,
];

interface KnownType {
  codes: Map<string, KnownWebhook>;
  /** what all webhooks of the type are about; null where they differ, so that it is not known of another code */
  usually: readonly SubjectRule[] | null;
}

const TYPES: ReadonlyMap<string, KnownType> = byType();

function byType(): Map<string, KnownType> {
  const types = new Map<string, KnownType>();
  for (const webhook of CATALOGUE) {
    const { type, code, about, alsoSentAs } = webhook;
    const known = types.get(type) ?? { codes: new Map(), usually: about };
    if (known.usually !== about) known.usually = null;
    for (const each of [code, ...alsoSentAs]) known.codes.set(each, webhook);
    types.set(type, known);
  }
  return types;
}

/** The entry of a webhook; undefined for one that Tartan does not know. */
export function knownWebhook(type: string | null, code: string | null): KnownWebhook | undefined {
  return type === null || code === null ? undefined : TYPES.get(type)?.codes.get(code);
}

const BY_ITEM: readonly SubjectRule[] = [ITEM];

/**
 * What a webhook may be about, the likeliest first: for a code that is not known, what all others of its type are about. Any body
 * that names an item is at last about that.
 */
export function subjectRules(type: string | null, code: string | null): readonly SubjectRule[] {
  const known = type === null ? undefined : TYPES.get(type);
  if (known === undefined) return BY_ITEM;
  return (code === null ? undefined : known.codes.get(code)?.about) ?? known.usually ?? BY_ITEM;
}
