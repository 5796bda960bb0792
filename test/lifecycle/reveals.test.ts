/**
 * What an integration reveals: a change reaches every stored row, whoever ends in between and whatever runs meanwhile, and no revealed
 * row stays behind what is hidden.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
import { getIntegration, rotateWebhookSecret } from "../../src/integrations/integrations.ts";
import { revealedOf } from "../../src/integrations/reveals.ts";
import { deleteIntegration, updateIntegration } from "../../src/lifecycle/integrations.ts";
import { finishAllReveals, startReveals } from "../../src/lifecycle/reveals.ts";
import { silentLogger } from "../../src/logger.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { gated } from "../sync/support.ts";
import type { Item } from "../support/world/integration.ts";

const NAME = "liabilities";
/** Only a part of masking says so. */
const PART = "of t skip locked";
const BARE =
  "account_number not like '•%' or property_address_street <> '•••' or raw ->> 'account_number' not like '•%'";

let world: World<"sync">;
let item: Item;
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  [item] = world.integration.makeItems(1, 1, { products: ["liabilities"] }) as [Item];
  await world.integration.link(item);
  await work();
});
afterAll(() => world[Symbol.asyncDispose]());

const reveal = (names: string[], database: Database = world.database, id = world.integration.id) =>
  updateIntegration(database, world.vault, id, { revealed_resources: names });

/** Lets a worker do all that is due. */
async function work(options?: Parameters<typeof world.sync.start>[0]): Promise<void> {
  await using worker = await world.sync.start(options);
  await worker.idle();
}

const countOf = async (what: string, values: readonly unknown[] = []): Promise<number> =>
  (await world.database.query<{ n: number }>(`select count(*)::int as n from ${what}`, values)).rows[0]?.n ?? 0;
const rows = (where: string, id = world.integration.id) =>
  countOf(`plaid.liabilities_mortgage where integration_id = $1 and (${where})`, [id]);
const underWay = () => countOf("tartan.integrations where to_mask <> '{}' or to_read <> '{}'");

/** `database`, as used by a process that ends before it sends its `count`th statement with `text`. */
function endsBefore(text: string, count: number): Database {
  const { database } = world;
  let seen = 0;
  const watch = (q: Queryable): Queryable => ({
    query: (statement, values) => {
      const sent = typeof statement === "string" ? statement : statement.text;
      if (sent.includes(text) && (seen += 1) === count) throw new Error("the process ended");
      return q.query(statement, values);
    },
  });
  return {
    ...watch(database),
    transaction: (job, kind) => database.transaction((tx) => job(watch(tx)), kind),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Another integration, with more revealed rows than two parts hold, of items that nobody syncs. */
async function manyRows(): Promise<string> {
  const id = await world.integration.another();
  await world.database.query(
    `insert into plaid.liabilities_mortgage (integration_id, item_id, account_id, account_number, property_address_street, raw, removed_at)
     select $1, 'item-' || n % 7, 'account-' || n, '12345678', '1 Main St',
       '{"account_number": "12345678", "property_address": {"street": "1 Main St"}}', case when n % 3 = 0 then now() end
     from generate_series(1, 1200) n`,
    [id],
  );
  await reveal([NAME], world.database, id);
  return id;
}

describe("revealing a resource", () => {
  it("its rows are masked until an integration reveals it, and are read again then, without a webhook", async () => {
    expect(await rows("true")).toBeGreaterThan(0);
    expect(await rows(BARE)).toBe(0);
    expect(await reveal([NAME])).toMatchObject({ revealed_resources: [NAME] });
    await work();
    expect(await rows(`not (${BARE})`)).toBe(0);
    expect(await underWay()).toBe(0);
  });

  it("another process asks for the readings when the one that reveals it ends", async () => {
    await reveal([]);
    await expect(reveal([NAME], endsBefore("s.requested || $4", 1))).rejects.toThrow("the process ended");
    expect((await getIntegration(world.database, world.integration.id))?.revealed_resources).toEqual([NAME]);
    await work();
    expect(await rows(BARE)).toBe(0);
    await finishAllReveals(world.database);
    await work();
    expect(await rows(`not (${BARE})`)).toBe(0);
    expect(await underWay()).toBe(0);
  });

  it("an item without the product is not asked for it", async () => {
    const [other] = world.integration.makeItems(1) as [Item];
    await world.integration.link(other);
    await work();
    await reveal([]);
    await reveal([NAME]);
    const asked: string[] = [];
    await work({
      clientFor: gated(async (path, body, pass) => {
        if (body.access_token === other.access_token) asked.push(path);
        await pass();
      }),
    });
    expect(asked).toEqual(["/item/get"]);
  });
});

describe("hiding a resource", () => {
  it("masks all stored rows at once, also removed ones and those of items in error, without a request to Plaid", async () => {
    await reveal([NAME]);
    await work();
    const other = await manyRows();
    await world.database.query("update sync.subjects set status = 'needs_user' where id = $1", [item.item_id]);
    const changed = await world.database.query<{ at: Date }>("select now() as at");
    await reveal([]);
    expect(await rows(BARE)).toBe(0);
    expect(await rows("changed_at < $2".replace("$2", `'${changed.rows[0]?.at.toISOString()}'`))).toBe(0);
    // The other integration reveals it still.
    expect(await rows(BARE, other)).toBe(1200);
    await reveal([], world.database, other);
    expect(await rows(BARE, other)).toBe(0);
    expect(await underWay()).toBe(0);
  });

  it.each([1, 2, 3])("another process finishes it when the one that hides it ends before part %d", async (count) => {
    const id = await manyRows();
    await expect(reveal([], endsBefore(PART, count), id)).rejects.toThrow("the process ended");
    expect((await getIntegration(world.database, id))?.revealed_resources).toEqual([]);
    expect(await rows(BARE, id)).toBe(1200 - (count - 1) * 500);
    await finishAllReveals(world.database);
    expect(await rows(BARE, id)).toBe(0);
    expect(await underWay()).toBe(0);
  });

  it("a run that began while the resource was revealed writes masked rows when it ends afterwards", async () => {
    await world.database.query("update sync.subjects set status = 'ok' where id = $1", [item.item_id]);
    await reveal([NAME]);
    await work({
      clientFor: gated(async (path, _body, pass) => {
        await pass();
        if (path === "/liabilities/get") await reveal([]);
      }),
    });
    expect(await rows("true")).toBeGreaterThan(0);
    expect(await rows(BARE)).toBe(0);
  });

  it("commits while a run is writing revealed rows, as every other change does; no later run writes such rows, and what it wrote is masked", async () => {
    await reveal([NAME]);
    const { database, vault } = world;
    const other = await manyRows();
    let hiding: Promise<unknown> = Promise.resolve();
    await database.transaction(async (tx) => {
      for (const id of [world.integration.id, other]) expect(await revealedOf(tx, id, [NAME])).toEqual([NAME]);
      await tx.query(
        `insert into plaid.liabilities_mortgage (integration_id, item_id, account_id, account_number, raw)
         values ($1, 'late', 'late', '987654321', '{"account_number": "987654321"}')`,
        [world.integration.id],
      );
      const shown = await updateIntegration(database, vault, other, { revealed_resources: [] }, undefined, {
        withinMs: 0,
      });
      expect(shown).toMatchObject({ revealed_resources: [], masking_resources: [NAME] });
      await rotateWebhookSecret(database, vault, other);
      await deleteIntegration(database, other, { withinMs: 0 });
      hiding = reveal([]);
      await expect.poll(() => getIntegration(database, world.integration.id)).toMatchObject({ revealed_resources: [] });
      expect(await database.transaction((later) => revealedOf(later, world.integration.id, [NAME]))).toEqual([]);
      expect(await getIntegration(database, world.integration.id)).toMatchObject({ masking_resources: [NAME] });
      expect(await rows(BARE, other)).toBe(1200);
    });
    await hiding;
    expect(await rows(BARE)).toBe(0);
    expect(await rows("item_id = 'late' and account_number = '••••4321'")).toBe(1);
    await finishAllReveals(database);
    expect(await rows(BARE, other)).toBe(0);
  });

  it("hidden just before a run shares the lock, a resource is masked by that run", async () => {
    await reveal([NAME]);
    const { database, integration } = world;
    const found = await database.transaction(async (tx) => {
      const late: Queryable = {
        query: async (statement, values) => {
          const answer = await tx.query(statement, values as unknown[]);
          const text = typeof statement === "string" ? statement : statement.text;
          if (text.includes("for share of r")) {
            await updateIntegration(database, world.vault, integration.id, { revealed_resources: [] }, undefined, {
              withinMs: 0,
            });
          }
          return answer as never;
        },
      };
      return await revealedOf(late, integration.id, [NAME]);
    });
    expect(found).toEqual([]);
    await finishAllReveals(database);
  });

  it("a deleted integration reveals nothing: its stored rows are masked, and the audit log says that they were hidden", async () => {
    const id = await manyRows();
    await deleteIntegration(world.database, id);
    expect(await rows("true", id)).toBe(1200);
    expect(await rows(BARE, id)).toBe(0);
    expect(await countOf("tartan.audit_log where integration_id = $1 and action = 'resources.hidden'", [id])).toBe(1);
    expect(await underWay()).toBe(0);
  });

  it("a loop of every process masks what a change left", async () => {
    const id = await manyRows();
    await expect(reveal([], endsBefore(PART, 2), id)).rejects.toThrow("the process ended");
    await using _loop = await startReveals({ database: world.database, clock: systemClock, logger: silentLogger });
    await expect.poll(() => rows(BARE, id)).toBe(0);
  });

  it("waits for rows that another transaction holds, and masks those too", async () => {
    const id = await manyRows();
    let hiding: Promise<unknown> = Promise.resolve();
    await world.database.transaction(async (tx) => {
      await tx.query(
        "update plaid.liabilities_mortgage set removed_at = now() where integration_id = $1 and account_id = 'account-7'",
        [id],
      );
      hiding = reveal([], world.database, id);
      await expect.poll(() => rows(BARE, id)).toBe(701);
    });
    await hiding;
    expect(await rows(BARE, id)).toBe(0);
  });

  it("masking that is under way gives up when the resource is revealed again, and leaves nothing to do", async () => {
    const id = await manyRows();
    await expect(reveal([], endsBefore(PART, 2), id)).rejects.toThrow("the process ended");
    await reveal([NAME], world.database, id);
    await finishAllReveals(world.database);
    expect(await rows(BARE, id)).toBe(700);
    expect(await underWay()).toBe(0);
  });

  it("a part of masking that comes after the resource was revealed again masks nothing", async () => {
    const id = await manyRows();
    let parts = 0;
    const late: Database = {
      ...endsBefore("nothing", 1),
      transaction: async (job, kind) => {
        // The change itself and the first part.
        if ((parts += 1) === 3) await reveal([NAME], world.database, id);
        return await world.database.transaction(job, kind);
      },
    };
    await reveal([], late, id);
    expect(await rows(BARE, id)).toBe(700);
    expect(await underWay()).toBe(0);
  });

  it("masking that ends after the resource was revealed and hidden again does not cross off what the last change noted", async () => {
    const id = await manyRows();
    let seen = 0;
    const meanwhile = async (): Promise<void> => {
      await reveal([NAME], world.database, id);
      await world.database.query(
        "update plaid.liabilities_mortgage set account_number = '87654321' , raw = '{\"account_number\": \"87654321\"}' where integration_id = $1 and account_id = 'account-5'",
        [id],
      );
      await expect(reveal([], endsBefore(PART, 1), id)).rejects.toThrow("the process ended");
    };
    const watch = (q: Queryable): Queryable => ({
      query: async (statement, values) => {
        const text = typeof statement === "string" ? statement : statement.text;
        if (text.includes("reveals_version = $4") && (seen += 1) === 1) await meanwhile();
        return await q.query(statement, values);
      },
    });
    const late: Database = {
      ...endsBefore("nothing", 1),
      ...watch(world.database),
      transaction: (job, kind) => world.database.transaction((tx) => job(watch(tx)), kind),
    };
    await reveal([], late, id);
    expect(seen).toBeGreaterThan(1);
    expect(await rows("raw ->> 'account_number' = '87654321'", id)).toBe(0);
    expect(await underWay()).toBe(0);
  });
});
