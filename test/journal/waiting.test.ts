/** What finding the webhooks of one subject reads. */
import { expect, test } from "vitest";
import { appendQuietly } from "../../src/journal/append.ts";
import { webhooksOf } from "../../src/journal/queries.ts";
import { testDatabase } from "../support/database.ts";
import { INTEGRATION, webhook } from "../support/webhook.ts";

interface Plan {
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  Plans?: Plan[];
}

const readBy = (plan: Plan): number =>
  Math.max(
    (plan["Actual Rows"] + (plan["Rows Removed by Filter"] ?? 0)) * plan["Actual Loops"],
    ...(plan.Plans ?? []).map(readBy),
  );

test.each([
  ["item", (id: string) => ({ itemId: id, subject: { kind: "item", id } })],
  ["user", (id: string) => ({ itemId: null, subject: { kind: "user", id } })],
])(
  "the waiting webhooks of one %s are found without reading those of others, in a week without statistics too",
  async (kind, about) => {
    await using db = await testDatabase();
    const webhooks = Array.from({ length: 2000 }, (_, n) => webhook(about(`subject-${n % 500}`)));
    await appendQuietly(db.database, webhooks);
    await db.database.transaction(async (tx) => {
      await tx.query("set local plan_cache_mode = force_generic_plan");
      await tx.query(`prepare waiting as ${webhooksOf(kind).text}`);
      const values = `'${INTEGRATION}', '${kind}', 'subject-7', '${webhooks[0]?.id}', 1000`;
      const { rows } = await tx.query<{ "QUERY PLAN": [{ Plan: Plan }] }>(
        `explain (analyze, format json) execute waiting (${values})`,
      );
      await tx.query("deallocate waiting");
      expect(readBy(rows[0]?.["QUERY PLAN"][0].Plan as Plan)).toBe(4);
    });
  },
);
