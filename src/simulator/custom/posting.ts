/** Lets the pending transactions of `user_custom` post on their days, with the webhooks that announce it. */
import { postAsPlanned, type Summary } from "../changes.ts";
import { bookOf, type Book, type Item } from "../item.ts";
import type { Simulation } from "../simulation.ts";
import { newTxn, type Txn } from "../transaction-log.ts";

const MS_PER_DAY = 86_400_000;

/** Plans the next posting, of an Item that was just made or that a restart brought back. */
export function postOnDays(sim: Simulation, item: Item): void {
  if (!item.override || item.removed) return;
  const days = bookOf(item).due.map(({ day }) => day);
  if (days.length === 0) return;
  sim.time.schedule(Math.max(sim.time.now(), Math.min(...days) * MS_PER_DAY), () => {
    if (item.removed || item.revoked) return;
    const summary = settle(bookOf(item), sim.today());
    if (summary.added.length > 0) item.lastSuccess = sim.time.now();
    sim.announce(item, summary);
    postOnDays(sim, item);
  });
}

function settle(book: Book, today: number): Summary {
  const now = book.due.filter(({ day }) => day <= today);
  book.due = book.due.filter(({ day }) => day > today);
  const summary: Summary = { added: [], modified: [], removed: [] };
  for (const { txn, day } of now) {
    // It may be gone with its account, or the control may have posted it earlier.
    if (book.log.pending.has(txn)) {
      summary.added.push(postAsPlanned(book, txn, day));
      summary.removed.push(txn);
    } else book.reserve = book.reserve.map((one) => (one === txn ? posted(txn, day) : one));
  }
  return summary;
}

/** It posts before Plaid has seen it pending. */
const posted = (txn: Txn, day: number): Txn => newTxn({ ...txn, day, pending: false });
