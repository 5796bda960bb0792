/** Product books over restarts, and in any order of reading. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { post } from "./support/client.ts";
import { OPTIONS, PRODUCT_CASES } from "./support/product-cases.ts";

let inbox: Inbox;
let folder: string;
beforeEach(async () => {
  inbox = await openInbox();
  folder = mkdtempSync(join(tmpdir(), "tartan-books-"));
});
afterEach(async () => {
  await inbox[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test("prices that moved before a restart stay after it", async () => {
  const options = { ...OPTIONS, stateFile: join(folder, "world") };
  const move = ({ control }: Simulator, itemId: string) =>
    control.change(itemId, "holdings", { add: 40, reprice: "all" });
  const story = async (restart: boolean) => {
    let world = await startSimulator(restart ? options : OPTIONS);
    const [one, two] = world.control.createItems({ products: ["investments"], user: "user_good", count: 2 }).items;
    move(world, one?.item_id ?? "");
    if (restart) {
      await world[Symbol.asyncDispose]();
      world = await startSimulator(options);
    }
    move(world, two?.item_id ?? "");
    const truth = world.control.truth(two?.item_id ?? "", "holdings");
    await world[Symbol.asyncDispose]();
    return truth;
  };
  expect(await story(true)).toEqual(await story(false));
});

describe.each(PRODUCT_CASES)("$name", ({ name, path, product, asks, subtype, webhook, first }) => {
  test("a restart keeps the truth, and later changes are the same as without it", async () => {
    const open = (file?: string) => startSimulator({ ...OPTIONS, ...(file ? { stateFile: join(folder, file) } : {}) });
    const begin = ({ control }: Simulator) => {
      const [item] = control.createItems({ products: [product], count: 2 }).items;
      control.change(item?.item_id ?? "", name, { modify: 2, remove: 1, add: 1 });
      return item?.item_id ?? "";
    };
    const end = ({ control }: Simulator, itemId: string) => {
      const done = control.change(itemId, name, { modify: 2, add: 2, remove: 1 });
      return JSON.stringify([done, control.truth(itemId, name), control.accounts(itemId)]);
    };
    const stopped = await open("world");
    const itemId = begin(stopped);
    const truth = JSON.stringify(stopped.control.truth(itemId, name));
    await stopped[Symbol.asyncDispose]();
    await using again = await open("world");
    expect(JSON.stringify(again.control.truth(itemId, name))).toBe(truth);
    await using unbroken = await open();
    expect(begin(unbroken)).toBe(itemId);
    expect(end(again, itemId)).toBe(end(unbroken, itemId));
  });

  test("a first pull that a restart interrupted ends after it", async () => {
    const options = { ...OPTIONS, stateFile: join(folder, "world") };
    const before = await startSimulator(options);
    const [item] = before.control.createItems({ products: [product], ready: false, webhook: inbox.url }).items;
    await before[Symbol.asyncDispose]();
    await using after = await startSimulator(options);
    const read = async () =>
      (await post(after, path, { access_token: item?.access_token, ...asks })).body["error_code"];
    expect(await read()).toBe("PRODUCT_NOT_READY");
    await after.control.advanceClock({ advance_s: 10 });
    expect(await read()).toBeUndefined();
    expect(inbox.codes()).toContain(first ?? webhook);
  });

  test("the data of an item is the same in any order of reading", async () => {
    const story = async (looks: ((control: Simulator["control"], id: string) => unknown)[]) => {
      await using world = await startSimulator(OPTIONS);
      const { items } = world.control.createItems({ count: 3, products: ["transactions", product] });
      const ids = items.map(({ item_id }) => item_id);
      for (const look of looks) for (const id of ids) look(world.control, id);
      for (const id of ids) {
        const fitting = world.control.accounts(id).accounts.find(({ type }) => type !== "depository");
        world.control.revokeAccount(id, { account_id: String(fitting?.["account_id"]) });
      }
      world.control.addAccount(ids[1] ?? "", { subtype });
      return ids.map((id) => [
        world.control.truth(id, name),
        world.control.accounts(id),
        world.control.transactionsText(id),
      ]);
    };
    const first = await story([]);
    expect(await story([(control, id) => control.truth(id, name)])).toEqual(first);
    expect(await story([(control, id) => control.accounts(id), (control, id) => control.transactions(id)])).toEqual(
      first,
    );
  });
});
