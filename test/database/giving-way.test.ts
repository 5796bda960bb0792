import { expect, it } from "vitest";
import { givingWay } from "../../src/database/giving-way.ts";
import type { Database } from "../../src/database/types.ts";
import { NO_PRESSURE } from "../../src/model/pressure.ts";

it("each statement, and each transaction before it begins, gives way; those inside a transaction do not", async () => {
  const steps: string[] = [];
  const tx = {
    query: async () => {
      steps.push("statement of the transaction");
      return { rows: [], rowCount: 0 };
    },
  };
  const database = {
    query: async () => {
      steps.push("statement");
      return { rows: [], rowCount: 0 };
    },
    transaction: async (work: (q: typeof tx) => Promise<unknown>) => {
      steps.push("begin");
      return await work(tx);
    },
  } as unknown as Database;
  const pressure = {
    ...NO_PRESSURE,
    giveWay: async (worker: string) => {
      steps.push(`${worker} gives way`);
    },
  };
  const courteous = givingWay(database, pressure, "janitor");
  await courteous.query("select");
  await courteous.transaction(async (q) => {
    await q.query("select");
    await q.query("select");
  });
  expect(steps).toEqual([
    "janitor gives way",
    "statement",
    "janitor gives way",
    "begin",
    "statement of the transaction",
    "statement of the transaction",
  ]);
});
