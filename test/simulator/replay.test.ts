/** After any changes of an Item, a client that follows the protocol ends with the truth, from the start or from any cursor. */
import { afterAll, beforeAll, expect, test } from "vitest";
import * as fc from "fast-check";
import type { PlaidApi } from "plaid";
import { frozenClock, startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { sdkFor } from "./support/client.ts";
import { Reader } from "./support/reader.ts";

let simulator: Simulator;
let sdk: PlaidApi;
beforeAll(async () => {
  simulator = await startSimulator({ seed: "replay", clock: frozenClock("2026-03-07T12:00:00Z"), rateLimits: false });
  sdk = sdkFor(simulator);
});
afterAll(() => simulator[Symbol.asyncDispose]());

const some = fc.integer({ min: 0, max: 7 });
const change = fc.record({ add: some, add_pending: some, modify: some, remove: some, post_pending: some });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("change" as const), change, during: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("revoke" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("open" as const), transactions: some }) },
);

test("reading the transaction log from the start, or page by page while it grows, ends in the truth", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 1, max: 12 }),
      fc.array(step, { maxLength: 12 }),
      async (transactions, count, steps) => {
        const { control } = simulator;
        const [item] = control.createItems({ transactions }).items;
        const { item_id, access_token } = item ?? { item_id: "", access_token: "" };
        const follower = new Reader(sdk, access_token);
        await follower.read(count);
        for (const each of steps) {
          const act = () => {
            if (each.kind === "change") control.changeTransactions(item_id, each.change);
            else if (each.kind === "open") control.addAccount(item_id, { transactions: each.transactions });
            else if (control.accounts(item_id).accounts.length > 1) control.revokeAccount(item_id);
          };
          // Half of the changes land while the follower is between two pages.
          let left = each.kind === "change" && each.during ? 1 : 0;
          if (left === 0) act();
          await follower.read(count, () => {
            if (left-- > 0) act();
          });
          if (left > 0) act();
          await follower.read(count);
        }
        const truth = control
          .transactions(item_id)
          .transactions.toSorted((a, b) => (String(a["transaction_id"]) < String(b["transaction_id"]) ? -1 : 1));
        const newcomer = new Reader(sdk, access_token);
        await newcomer.read(500);
        expect(newcomer.sorted()).toEqual(truth);
        expect(follower.sorted()).toEqual(truth);
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);
