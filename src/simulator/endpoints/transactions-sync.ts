/**
 * POST /transactions/sync: what changed since a cursor, in pages. The rules are in transaction-log.ts and cursor.ts; this file
 * decides when there is no data yet (`next_cursor: ""`) and when a loop has to begin again.
 */
import { z } from "zod";
import { accountObject, type Account } from "../account.ts";
import { readCursor, writeCursor, type CursorOwner, type Position } from "../cursor.ts";
import { bookOf, type Book, type Item, type Stage } from "../item.ts";
import { cursorNotAssociated, invalidAccountId, invalidField, mutationDuringPagination } from "../plaid-error.ts";
import { transactionsText } from "../transaction-text.ts";
import { itemEndpoint, JsonMembers, type Call } from "./endpoint.ts";
import { syncOptions } from "./transaction-options.ts";

const PATH = "/transactions/sync";
const LONGEST_CURSOR = 256;

const STATUS: Record<Stage, string> = {
  NONE: "NOT_READY",
  NOT_READY: "NOT_READY",
  INITIAL: "INITIAL_UPDATE_COMPLETE",
  HISTORICAL: "HISTORICAL_UPDATE_COMPLETE",
};

export const transactionsSync = itemEndpoint(
  PATH,
  "healthy",
  {
    cursor: z.string().nullish(),
    count: z.int().min(1).max(500).default(100),
    options: syncOptions,
  },
  (item, body, call) => {
    item.syncCalled = true;
    if (item.stage === "NONE") call.sim.startExtraction(item, body.options?.days_requested);
    if (item.stage === "NOT_READY") return answer(item, [], { added: "[]", modified: "[]", removed: "[]" }, "", false);
    const book = bookOf(item);
    const account = accountNamed(book, body.options?.account_id);
    const from = begin(item, book, account, body.cursor ?? "", call);
    const page = book.log.page({ ...from, count: body.count, account });
    const original = body.options?.include_original_description ?? false;
    const done = { base: from.head, position: from.head, head: from.head };
    const next = page.hasMore ? { ...from, position: page.position } : done;
    const texts = {
      added: transactionsText(page.added, original),
      modified: transactionsText(page.modified, original),
      removed: JSON.stringify(page.removed.map((txn) => ({ account_id: txn.account.id, transaction_id: txn.id }))),
    };
    return answer(item, book.accounts, texts, writeCursor(ownerOf(item, account), next), page.hasMore);
  },
  { perItem: 50, perClient: 1000, code: "TRANSACTIONS_SYNC_LIMIT" },
);

function accountNamed(book: Book, id: string | undefined): Account | null {
  if (id === undefined) return null;
  const account = book.accounts.find((one) => one.id === id);
  if (!account) throw invalidAccountId();
  return account;
}

const ownerOf = (item: Item, account: Account | null): CursorOwner => ({
  itemId: item.itemId,
  accountId: account?.id ?? null,
  epoch: item.cursorEpoch,
});

/** Where this page starts. Faults of cursors occur here. */
function begin(item: Item, book: Book, account: Account | null, cursor: string, { sim, client }: Call): Position {
  const head = book.log.head;
  if (cursor === "") return { base: 0, position: 0, head };
  if (cursor === "now") return { base: head, position: head, head };
  if (cursor.length > LONGEST_CURSOR) throw invalidField("cursor must be at most 256 characters");
  const target = { itemId: item.itemId, clientId: client.clientId, endpoint: PATH };
  if (sim.faults.strike("cursor_invalid", target)) throw cursorNotAssociated();
  const at = readCursor(ownerOf(item, account), cursor);
  if (!at) throw cursorNotAssociated();
  const midLoop = at.position < at.head;
  const fault = sim.faults.strike("mutation", { ...target, midLoop });
  if (fault || (midLoop && at.head !== head)) throw mutationDuringPagination();
  return midLoop ? at : { base: at.head, position: at.head, head };
}

function answer(
  item: Item,
  accounts: readonly Account[],
  texts: { added: string; modified: string; removed: string },
  cursor: string,
  hasMore: boolean,
): JsonMembers {
  const shown = accounts.filter((account) => account.transactions > 0).map(accountObject);
  return new JsonMembers(
    `"accounts":${JSON.stringify(shown)},"added":${texts.added},"has_more":${hasMore},"modified":${texts.modified},` +
      `"next_cursor":"${cursor}","removed":${texts.removed},"transactions_update_status":"${STATUS[item.stage]}"`,
  );
}
