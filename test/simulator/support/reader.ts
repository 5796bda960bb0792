/** A model client of /transactions/sync: follows the rules of Plaid's documentation and nothing else. */
import type { PlaidApi, Transaction } from "plaid";
import { refusal } from "./client.ts";

export class Reader {
  readonly rows = new Map<string, Transaction>();
  cursor = "";
  restarts = 0;
  pages = 0;
  readonly #sdk: PlaidApi;
  readonly #accessToken: string;

  constructor(sdk: PlaidApi, accessToken: string) {
    this.#sdk = sdk;
    this.#accessToken = accessToken;
  }

  /** One loop from the stored cursor to has_more=false, begun again when the data changes under it. */
  async read(count: number, betweenPages: () => void = () => undefined): Promise<void> {
    for (;;) {
      const applied = await this.#loop(count, betweenPages);
      if (applied) return;
      this.restarts += 1;
    }
  }

  async #loop(count: number, betweenPages: () => void): Promise<boolean> {
    const changes: (() => void)[] = [];
    let cursor = this.cursor;
    for (;;) {
      const page = await this.#page(cursor, count);
      if (page === null) return false;
      this.pages += 1;
      for (const row of [...page.added, ...page.modified]) changes.push(() => this.rows.set(row.transaction_id, row));
      for (const { transaction_id } of page.removed) changes.push(() => this.rows.delete(transaction_id));
      cursor = page.next_cursor;
      if (!page.has_more) break;
      betweenPages();
    }
    for (const change of changes) change();
    this.cursor = cursor;
    return true;
  }

  async #page(cursor: string, count: number) {
    const call = this.#sdk.transactionsSync({ access_token: this.#accessToken, cursor, count });
    try {
      return (await call).data;
    } catch {
      const { error_code } = await refusal(call);
      if (error_code !== "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION") throw new Error(error_code);
      return null;
    }
  }

  sorted(): Transaction[] {
    return [...this.rows.values()].toSorted((a, b) => (a.transaction_id < b.transaction_id ? -1 : 1));
  }
}
