/** What the tests of mirror/ start from: subjects that a worker holds, and pages applied to them as a run does it. */
import { randomUUID } from "node:crypto";
import { applyReading } from "../../src/mirror/apply.ts";
import { stagePage } from "../../src/mirror/stage.ts";
import type { Changes, Page, Scope } from "../../src/mirror/types.ts";
import { resourcesOf } from "../../src/resources/index.ts";
import type { Resource } from "../../src/resources/types.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

export const resource = (name: string): Resource => {
  const found = resourcesOf("item").find((one) => one.name === name);
  if (!found) throw new Error(name);
  return found;
};

export const txn = (id: string, more: Record<string, unknown> = {}) => ({
  transaction_id: id,
  account_id: "a",
  amount: 1,
  ...more,
});
/** An answer of /transactions/sync. */
export const page = (added: unknown[], modified: unknown[] = [], removed: string[] = []): string =>
  JSON.stringify({ added, modified, removed: removed.map((transaction_id) => ({ transaction_id })) });

export interface Scene extends TestDatabase {
  /** a subject that a worker holds */
  hold(): Promise<Scope>;
  /** applies pages as a run does: all but the last are staged */
  apply(scope: Scope, name: string, texts: string[], whole?: boolean): Promise<Changes>;
  /** the item's rows, ordered by the first of `columns` */
  rows(scope: Scope, columns: string, table?: string): Promise<Record<string, unknown>[]>;
}

export async function openScene(): Promise<Scene> {
  const db = await testDatabase();
  return {
    ...db,
    hold: async () => {
      const scope = {
        integrationId: "svi_test",
        kind: "item",
        subjectId: randomUUID(),
        leaseToken: randomUUID(),
        facts: { user_id: "user_1" },
      };
      await db.database.query(
        "insert into sync.subjects (integration_id, kind, id, lease_token, due_at) values ($1, $2, $3, $4, now())",
        [scope.integrationId, scope.kind, scope.subjectId, scope.leaseToken],
      );
      return scope;
    },
    apply: async (scope, name, texts, whole = false) => {
      const pages: Page[] = [];
      for (const [number, text] of texts.entries()) {
        const last = number === texts.length - 1;
        if (!last) await stagePage(db.database, scope, name, number, text);
        pages.push({ text: last ? text : null, rows: true, removals: true });
      }
      return await db.database.transaction((tx) => applyReading(tx, scope, { resource: resource(name), pages, whole }));
    },
    rows: async ({ subjectId }, columns, table = "plaid.transactions") => {
      const found = await db.database.query(`select ${columns} from ${table} where item_id = $1 order by 1`, [
        subjectId,
      ]);
      return found.rows;
    },
  };
}
