/**
 * Breaks and repairs Items. An Item keeps its error until it is repaired: by its user in update mode (Plaid sends
 * nothing then: the client knows) or because the login works again by itself (LOGIN_REPAIRED).
 */
import { createAccount, type Account } from "./account.ts";
import { take } from "./changes.ts";
import { LATER, type AccountKind } from "./catalogue/accounts.ts";
import { bookOf, type Item } from "./item.ts";
import { ITEM_ERRORS, REVOKED, type ItemErrorCode } from "./plaid-error.ts";
import { dropFromShelf, fillShelf } from "./products/shelf.ts";
import type { Simulation } from "./simulation.ts";
import {
  accountRevoked,
  itemError,
  loginRepaired,
  newAccountsAvailable,
  pendingDisconnect,
  pendingExpiration,
  permissionRevokedNotice,
} from "./webhooks/notices.ts";

export function breakItem(sim: Simulation, item: Item, code: ItemErrorCode, webhooks = true): void {
  item.error = ITEM_ERRORS[code];
  item.lastFailure = sim.time.now();
  if (webhooks) sim.notify(item, itemError(item.error));
}

export function repairItem(sim: Simulation, item: Item, webhooks = true): void {
  item.error = null;
  if (item.stage !== "NONE") item.lastSuccess = sim.time.now();
  if (webhooks) sim.notify(item, loginRepaired());
}

/** The user's consent ends at some time, or never; Plaid announces the end a week before. Nothing happens when the time has come. */
export function limitConsent(sim: Simulation, item: Item, endsAt: number | null, webhooks = true): void {
  item.consentEndsAt = endsAt;
  if (webhooks && endsAt !== null) sim.notify(item, pendingExpiration(endsAt));
}

/** The institution will disconnect the Item unless its user goes through update mode. Only the webhook says so. */
export function announceDisconnect(sim: Simulation, item: Item, at: number): void {
  sim.notify(item, pendingDisconnect(at));
}

/** The user withdraws all access at the bank or in Plaid Portal, for ever. */
export function revokeItem(sim: Simulation, item: Item, webhooks = true): void {
  item.revoked = true;
  item.error = REVOKED;
  if (webhooks) sim.notify(item, permissionRevokedNotice());
}

/**
 * The user withdraws one account. It disappears from /accounts/get, and its transactions become removals in the log, so that a
 * client that follows the log and one that reads everything anew agree.
 */
export function revokeAccount(sim: Simulation, item: Item, account: Account, webhooks = true): void {
  fillShelf(sim, item);
  const book = bookOf(item);
  const removed = book.log.live.filter((txn) => txn.account === account);
  for (const txn of removed) take(book, txn);
  book.accounts.splice(book.accounts.indexOf(account), 1);
  book.reserve = book.reserve.filter((txn) => txn.account !== account);
  const notices = dropFromShelf(sim, item, account);
  item.lastSuccess = sim.time.now();
  if (!webhooks) return;
  sim.notify(item, accountRevoked(account.id));
  sim.announce(item, { added: [], modified: [], removed });
  for (const notice of notices) sim.notify(item, notice);
}

/**
 * The user opens another account, and shares it at once or in a session in update mode with account selection; product books do not know
 * it yet. Without a kind, the seed chooses one.
 */
export function addAccount(
  sim: Simulation,
  item: Item,
  { webhooks = true, shared = true, kind }: { webhooks?: boolean; shared?: boolean; kind?: AccountKind | undefined },
): Account {
  fillShelf(sim, item);
  const book = bookOf(item);
  const account = createAccount(book.random, kind ?? book.random.pick(LATER), book.accounts[0]?.currency ?? "USD");
  (shared ? book.accounts : book.unshared).push(account);
  if (shared) item.lastSuccess = sim.time.now();
  if (webhooks) sim.notify(item, newAccountsAvailable());
  return account;
}
