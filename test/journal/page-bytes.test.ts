import { expect, test } from "vitest";
import { append } from "../../src/journal/append.ts";
import { openRecords } from "../../src/journal/records.ts";
import { toWebhookId } from "../../src/model/ids.ts";
import { testDatabase } from "../support/database.ts";
import { allPages } from "./records-conformance.ts";
import { webhook } from "../support/webhook.ts";

test("a page of webhooks ends early when bodies are large, the next page continues there, and each webhook comes once", async () => {
  await using db = await testDatabase();
  const MiB = 1024 * 1024;
  const sizes = [9 * MiB, ...Array.from({ length: 50 }, () => MiB), ...Array.from({ length: 20 }, () => 100)];
  const given = sizes.map((size, index) => {
    const receivedAt = new Date(Date.now() - (sizes.length - index) * 1000);
    return webhook({ receivedAt, body: Buffer.alloc(size, " "), webhookType: "ITEM" });
  });
  for (const one of given) await append(db.database, [one]);
  const newestFirst = given.map(({ id }) => toWebhookId(id)).toReversed();
  for (const filter of [{}, { type: "ITEM" }, { item_id: "item-1", type: "ITEM" }]) {
    const pages: number[] = [];
    const ids = await allPages(
      openRecords({
        query: async (statement, values) => {
          const answer = await db.database.query(statement, values);
          pages.push(answer.rows.filter((row) => (row as { id: string | null }).id !== null).length);
          return answer as never;
        },
      }),
      { ...filter, limit: 50 },
    );
    expect(ids).toEqual(newestFirst);
    // Twenty small ones beside those that fit, and the one that is larger than a page alone.
    expect(pages).toEqual([27, 8, 8, 8, 8, 8, 3, 1]);
  }
});
