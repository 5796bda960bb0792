/**
 * Which webhooks of an item say nothing any more once another came later. A webhook that is recovered a day late would otherwise open a
 * notice that a repair has cleared since, or clear one that was opened since. Pure.
 */
import type { RepairedBy } from "../model/statuses.ts";
import { CATALOGUE, knownWebhook, type ItemEffect } from "../plaid/catalogue.ts";
import { CLEARED_BY } from "../sync/next-notices.ts";

export interface SupersededBy {
  /** codes of later webhooks of type ITEM */
  codes: string[];
  /** a later session of Link in update mode does so as well */
  session: boolean;
}

/** A revoked account stays revoked after a repair: its data may have to be erased. */
const ALWAYS_NEEDED = "account_revoked";

const includes = (kinds: readonly string[], effect: ItemEffect): boolean => kinds.includes(effect);

const REPAIRS: Readonly<Partial<Record<ItemEffect, RepairedBy>>> = {
  repaired: "login_repaired",
  updated: "item_updated",
};

export function supersededBy(type: string, code: string): SupersededBy {
  const effect = knownWebhook(type, code)?.effect ?? null;
  if (effect === null || effect === ALWAYS_NEEDED) return { codes: [], session: false };
  const isLater = (other: ItemEffect | null): boolean => {
    if (other === null) return false;
    const [by, own] = [REPAIRS[other], REPAIRS[effect]];
    return (
      (by !== undefined && includes(CLEARED_BY[by], effect)) || (own !== undefined && includes(CLEARED_BY[own], other))
    );
  };
  const later = CATALOGUE.filter((known) => known.type === "ITEM" && isLater(known.effect));
  return { codes: later.map((known) => known.code), session: includes(CLEARED_BY.link_session, effect) };
}
