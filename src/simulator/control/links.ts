/** Finishes sessions of Link, which has no pages to click through here, and shows what a Link token was made with. */
import type { z } from "zod";
import type { Institution } from "../catalogue/institutions.ts";
import { linkItem, updateItem } from "../link.ts";
import { finishSession } from "../records/link-session.ts";
import type { Simulation } from "../simulation.ts";
import type { LinkToken } from "../world.ts";
import * as inputs from "./inputs.ts";
import { loginAt } from "./login.ts";

export interface CompletedLink {
  /** of the first Item; null in update mode */
  public_token: string | null;
  item_id: string;
  /** of all Items that the session added; absent in update mode */
  public_tokens?: string[];
  item_ids?: string[];
}

/** Finishes a session: new Items and their public tokens, or in update mode the repaired Items. */
export function completeLink(
  sim: Simulation,
  request: z.output<typeof inputs.linkInput>,
  institution: Institution | undefined,
): CompletedLink {
  const link = openLink(sim, request.link_token);
  const { clientId, webhook, userId, days, products, ifSupported, consented } = link;
  if (link.item) {
    const updated = [link.item, ...link.alsoUpdated];
    for (const item of updated) updateItem(sim, item, link, link.asked["account_selection"] === true);
    finishSession(sim, request.link_token, link, []);
    return { public_token: null, item_id: link.item.itemId };
  }
  if (request.items > 1 && !link.multiItem)
    throw inputs.badInput({ items: "is 1 unless the Link token has enable_multi_item_link" });
  const rest = { webhook, userId, login: loginAt(request), days };
  const items = Array.from({ length: request.items }, () =>
    linkItem(sim, { clientId, institution, products, ifSupported, consented, ...rest }),
  );
  const public_tokens = finishSession(sim, request.link_token, link, items);
  const item_ids = items.map(({ itemId }) => itemId);
  return { public_token: public_tokens[0] ?? null, item_id: item_ids[0] ?? "", public_tokens, item_ids };
}

function openLink(sim: Simulation, linkToken: string): LinkToken {
  const link = sim.world.linkTokens.get(linkToken);
  if (!link) throw inputs.badInput({ link_token: "is unknown: create one with /link/token/create" });
  if (link.expiresAt <= sim.time.now()) throw inputs.badInput({ link_token: "has expired: create another" });
  return link;
}

/** What a Link token was made with. */
export function describeLink(sim: Simulation, linkToken: string): Record<string, unknown> {
  const link = sim.world.linkTokens.get(linkToken);
  if (!link) throw inputs.badInput({ link_token: "is unknown: create one with /link/token/create" });
  const { webhook, products, days, item, reported, asked } = link;
  return { ...asked, webhook, products, days, item_id: item?.itemId ?? null, reported };
}
