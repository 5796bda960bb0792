/**
 * POST /transactions/refresh: asks the bank now. The answer says nothing; a moment later webhooks tell what changed, if
 * anything did. `user_transactions_dynamic` always has something: new pending rows come, all earlier ones post, and one
 * older row costs a dollar more. Other users' banks have no news.
 */
import { post, put, raise } from "../changes.ts";
import { accountLots, makeTxn } from "../history.ts";
import { bookOf, type Book, type Item } from "../item.ts";
import type { Simulation } from "../simulation.ts";
import { itemEndpoint } from "./endpoint.ts";

const ONE_DOLLAR = 10_000;

export const transactionsRefresh = itemEndpoint(
  "/transactions/refresh",
  "healthy",
  {},
  (item, _body, { sim }) => {
    sim.time.schedule(sim.time.now() + sim.options.extraction.refreshMs, () => refresh(sim, item));
    return {};
  },
  { perItem: 2, perClient: 100, code: "TRANSACTIONS_REFRESH_LIMIT" },
);

function refresh(sim: Simulation, item: Item): void {
  if (item.removed || item.revoked || item.error || item.stage === "NONE" || item.stage === "NOT_READY") return;
  item.lastSuccess = sim.time.now();
  // Where the user has revoked every account the bank has nothing to tell.
  if (bookOf(item).accounts.length === 0) return;
  if (item.plan.username === "user_transactions_dynamic") sim.announce(item, move(bookOf(item), sim.today()));
}

function move(book: Book, today: number) {
  const { feed, random } = book;
  const pending = [...feed.pending];
  const older = feed.live.filter((txn) => !txn.pending);
  const raised = older.length > 0 ? [random.pick(older)] : [];
  for (const txn of raised) raise(book, txn, ONE_DOLLAR);
  const posted = pending.map((txn) => post(book, txn, today));
  const lots = accountLots(book.accounts);
  const fresh = Array.from({ length: random.between(2, 4) }, () => put(book, makeTxn(random, lots, today, true)));
  return { added: [...posted, ...fresh], modified: raised, removed: pending };
}
