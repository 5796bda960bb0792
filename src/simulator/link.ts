/**
 * Links an Item as Link and the Sandbox do: it begins without transactions, and its history arrives in stages
 * if Transactions is among its products. The data of its other products arrives at once.
 */
import type { Institution } from "./catalogue/institutions.ts";
import type { Login } from "./custom/login.ts";
import { postOnDays } from "./custom/posting.ts";
import { planFor } from "./history.ts";
import { repairItem } from "./health.ts";
import { bookOf, type Item } from "./item.ts";
import { beginPulls } from "./products/shelf.ts";
import type { Simulation } from "./simulation.ts";

export interface LinkRequest {
  clientId: string;
  institution?: Institution | undefined;
  products: string[];
  ifSupported?: readonly string[] | undefined;
  consented?: readonly string[] | undefined;
  webhook: string | null;
  userId: string | null;
  login: Login;
  /** requested history, in days */
  days: number;
}

export function linkItem(sim: Simulation, request: LinkRequest): Item {
  const { login, days, ...rest } = request;
  const plan = planFor(login.username, days);
  const item = sim.world.createItem({ ...rest, plan, override: login.override, stage: "NONE", now: sim.time.now() });
  sim.settle(item);
  postOnDays(sim, item);
  beginProducts(sim, item);
  return item;
}

/** Lets the data of the Item's products arrive; `ready`: it is all there. */
export function beginProducts(sim: Simulation, item: Item, ready = false): void {
  if (!ready && item.products.includes("transactions")) sim.startExtraction(item);
  beginPulls(sim, item, item.products, ready);
}

const CONSENT_MS = 180 * 86_400_000;

/**
 * Ends a session in update mode: the Item works again, has the products that its user agreed to beside, and a consent that ends is renewed
 * for 180 days. With account selection the user shares every account.
 */
export function updateItem(
  sim: Simulation,
  item: Item,
  link: { products: string[]; consented: readonly string[] },
  sharesAccounts = false,
): void {
  if (item.consentEndsAt !== null) item.consentEndsAt = sim.time.now() + CONSENT_MS;
  if (sharesAccounts) bookOf(item).accounts.push(...bookOf(item).unshared.splice(0));
  item.consented = [...new Set([...item.consented, ...link.consented])];
  repairItem(sim, item, false);
  const added = link.products.filter((one) => item.institution.products.includes(one) && !item.products.includes(one));
  item.products = [...item.products, ...added];
  if (item.stage === "NONE" && added.includes("transactions")) sim.startExtraction(item);
  beginPulls(sim, item, added);
}
