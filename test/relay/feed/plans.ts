/** Reads what Postgres says about how it ran a search of the feeds. */
import type { Database } from "../../../src/database/types.ts";
import { FIND_EVENTS } from "../../../src/relay/feed/queries.ts";

interface PlanNode {
  "Relation Name"?: string;
  "Subplan Name"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  Plans?: PlanNode[];
}

/** How many rows of the outbox the nodes of a plan read, and how many events they then look up. */
function readsOf(node: PlanNode): { rows: number; events: number } {
  const own = (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"];
  const reads = {
    rows: node["Relation Name"] === "outbox" ? own : 0,
    events: node["Subplan Name"] === "CTE named" ? own : 0,
  };
  for (const { rows, events } of (node.Plans ?? []).map(readsOf)) {
    reads.rows += rows;
    reads.events += events;
  }
  return reads;
}

/** What a search behind the cursor reads that may read a hundred rows of the outbox. */
export async function readBy(
  database: Database,
  cursor: string,
  type: string,
): Promise<{ rows: number; events: number }> {
  const [position] = Buffer.from(cursor, "base64url").toString().split(":");
  const values = `${position}, 0, 100, array['${type}'], null, null, null, true, 100, 100`;
  return await database.transaction(async (tx) => {
    await tx.query(`prepare search as ${FIND_EVENTS.text}`);
    const { rows } = await tx.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
      `explain (analyze, format json) execute search(${values})`,
    );
    await tx.query("deallocate search");
    return rows[0] ? readsOf(rows[0]["QUERY PLAN"][0].Plan) : { rows: 0, events: 0 };
  });
}
