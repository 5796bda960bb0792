/** How much of the database a statement reads. */
import type { Database, Statement } from "../../src/database/types.ts";

/** How many pages a statement looks at, in memory or on disk; nothing that it writes stays. */
export async function pagesOf(database: Database, statement: Statement, values: readonly unknown[]): Promise<number> {
  let pages = Number.NaN;
  const undo = new Error("roll back");
  await database
    .transaction(async (tx) => {
      type Plan = { Plan: Record<"Shared Hit Blocks" | "Shared Read Blocks", number> }[];
      const text = `explain (analyze, buffers, format json) ${statement.text}`;
      const { rows } = await tx.query<{ "QUERY PLAN": Plan }>(text, values);
      const [root] = rows[0]?.["QUERY PLAN"] ?? [];
      if (root) pages = root.Plan["Shared Hit Blocks"] + root.Plan["Shared Read Blocks"];
      throw undo;
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error;
    });
  return pages;
}
