/**
 * The shelf of an Item: its product books. A book appears there when its product is initialised: at Link for the Item's
 * products, at the first request for a product that the user consented to. Its data arrives with the first pull, a moment later,
 * with its webhook; until then requests get PRODUCT_NOT_READY.
 *
 *   not on the shelf → under way (`pulledAt` null) → readable
 *
 * The content is made when it is first read, from a random stream of the Item's own, and before the Item's accounts change: so it
 * does not depend on the first reader.
 */
import type { z } from "zod";
import type { Account } from "../account.ts";
import { bookOf, type Item, type Shelved } from "../item.ts";
import { additionalConsentRequired, productNotReady, productsNotSupported } from "../plaid-error.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { ALL_BOOKS } from "./index.ts";
import type { AnyBook, ChangeInput, ProductBook, Scene } from "./product-book.ts";

/**
 * The data of a product for a request of the client.
 * @throws PlaidApiError PRODUCTS_NOT_SUPPORTED, ADDITIONAL_CONSENT_REQUIRED, the book's own (NO_…_ACCOUNTS), PRODUCT_NOT_READY
 */
export function readBook<State>(sim: Simulation, item: Item, book: ProductBook<State, ChangeInput, unknown>): State {
  if (!item.institution.products.includes(book.product)) throw productsNotSupported(book.product);
  if (!consentedProducts(item).includes(book.product)) throw additionalConsentRequired(book.product);
  const lacking = book.lacking(bookOf(item).accounts);
  if (lacking) throw lacking;
  if (!item.products.includes(book.product)) {
    item.products = [...item.products, book.product];
    beginPulls(sim, item, [book.product]);
  }
  const state = readable(sim, item, book);
  if (state === null) throw productNotReady();
  return state;
}

/** The products that the user agreed to: the Item's products, and those that it may get later. */
export const consentedProducts = (item: Item): string[] => [...new Set([...item.products, ...item.consented])];

/** The data of a product if Plaid has it already; null: not initialised, not pulled, no account for it, or removed. */
export function readable<State>(
  sim: Simulation,
  item: Item,
  book: ProductBook<State, ChangeInput, unknown>,
): State | null {
  const shelved = item.shelf[book.name];
  if (item.removed || !shelved || shelved.pulledAt === null || book.lacking(bookOf(item).accounts)) return null;
  return contentOf(sim, item, book, shelved).state;
}

/** Puts the books of these products on the shelf. `ready`: as if pulled long ago. */
export function beginPulls(sim: Simulation, item: Item, products: readonly string[], ready = false): void {
  for (const book of ALL_BOOKS) {
    if (!products.includes(book.product)) continue;
    const shelved: Shelved = { pulledAt: ready ? sim.time.now() : null, content: null };
    item.shelf[book.name] = shelved;
    if (!ready) schedulePull(sim, item, book, shelved);
  }
}

/** Ends first pulls that a restart interrupted. */
export function continuePulls(sim: Simulation, item: Item): void {
  for (const book of ALL_BOOKS) {
    const shelved = item.shelf[book.name];
    if (shelved?.pulledAt === null) schedulePull(sim, item, book, shelved);
  }
}

function schedulePull(sim: Simulation, item: Item, book: AnyBook, shelved: Shelved): void {
  sim.time.schedule(sim.time.now() + sim.options.extraction.initialMs, () => arrive(sim, item, book, shelved));
}

function arrive(sim: Simulation, item: Item, book: AnyBook, shelved: Shelved): void {
  if (item.removed || item.revoked) return;
  shelved.pulledAt = sim.time.now();
  const state = readable(sim, item, book);
  if (state !== null) notify(sim, item, book.notice(book.everything(state)));
}

/** Changes the truth, and sends the webhook unless `webhooks` is false. @returns null when there is nothing to change */
export function changeBook<Input extends ChangeInput, Change>(
  sim: Simulation,
  item: Item,
  book: ProductBook<unknown, Input, Change>,
  request: z.output<Input>,
): Change | null {
  const shelved = item.shelf[book.name];
  if (!shelved || readable(sim, item, book) === null) return null;
  const { state, random } = contentOf(sim, item, book, shelved);
  const change = book.change(state, request, { sim, item, accounts: bookOf(item).accounts, random });
  shelved.pulledAt = sim.time.now();
  if (request.webhooks) notify(sim, item, book.notice(change));
  return change;
}

/** Makes all content that was not read yet. Call it before the Item's accounts change. */
export function fillShelf(sim: Simulation, item: Item): void {
  for (const book of ALL_BOOKS) {
    const shelved = item.shelf[book.name];
    if (shelved) contentOf(sim, item, book, shelved);
  }
}

/** Takes an account out of every book, after it left the Item; returns the webhooks to send. */
export function dropFromShelf(sim: Simulation, item: Item, account: Account): WebhookNotice[] {
  return ALL_BOOKS.flatMap((book) => {
    const shelved = item.shelf[book.name];
    if (!shelved) return [];
    const notice = book.notice(book.dropAccount(contentOf(sim, item, book, shelved).state, account));
    return notice && shelved.pulledAt !== null ? [notice] : [];
  });
}

function contentOf<State>(
  sim: Simulation,
  item: Item,
  book: ProductBook<State, ChangeInput, unknown>,
  shelved: Shelved,
): { state: State; random: Scene["random"] } {
  if (!shelved.content) {
    const random = item.random.fork(book.name);
    shelved.content = {
      state: book.make({ sim, item, accounts: bookOf(item).accounts, random }),
      random: random.fork("changes"),
    };
  }
  return shelved.content as { state: State; random: Scene["random"] };
}

function notify(sim: Simulation, item: Item, notice: WebhookNotice | null): void {
  if (notice) sim.notify(item, notice);
}
