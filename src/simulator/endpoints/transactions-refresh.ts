/**
 * POST /transactions/refresh: asks the bank now. The answer is empty; a moment later webhooks announce the changes, if
 * there are any. For `user_transactions_dynamic` there always are: new pending rows, all earlier ones post, and one
 * older row costs a dollar more. Other users' banks have no changes.
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
  // If the user has revoked every account, the bank has no changes.
  if (bookOf(item).accounts.length === 0) return;
  if (item.plan.username === "user_transactions_dynamic") sim.announce(item, move(bookOf(item), sim.today()));
}

function move(book: Book, today: number) {
  const { log, random } = book;
  const pending = [...log.pending];
  const older = log.live.filter((txn) => !txn.pending);
  const raised = older.length > 0 ? [random.pick(older)] : [];
  for (const txn of raised) raise(book, txn, ONE_DOLLAR);
  const posted = pending.map((txn) => post(book, txn, today));
  const lots = accountLots(book.accounts);
  const fresh = Array.from({ length: random.between(2, 4) }, () => put(book, makeTxn(random, lots, today, true)));
  return { added: [...posted, ...fresh], modified: raised, removed: pending };
}
