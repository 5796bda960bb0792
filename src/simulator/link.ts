/**
 * Linking an Item the way Link and the Sandbox do it: it begins without transactions, and its history arrives in stages
 * if Transactions is among its products.
 */
import type { Institution } from "./catalogue/institutions.ts";
import { planFor, type Username } from "./history.ts";
import type { Item } from "./item.ts";
import type { Simulation } from "./simulation.ts";

export interface LinkWish {
  clientId: string;
  institution?: Institution | undefined;
  products: string[];
  webhook: string | null;
  userId: string | null;
  username: Username;
  /** history wanted, in days */
  days: number;
}

export function linkItem(sim: Simulation, wish: LinkWish): Item {
  const { username, days, ...rest } = wish;
  const plan = planFor(username, days);
  const item = sim.world.createItem({ ...rest, plan, stage: "NONE", now: sim.time.now() });
  sim.settle(item);
  if (item.products.includes("transactions")) sim.startExtraction(item);
  return item;
}
