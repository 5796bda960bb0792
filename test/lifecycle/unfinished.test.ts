/** Changes that concern all items of an integration: they hold nobody up, and nobody leaves them half done. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database, Queryable } from "../../src/database/types.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { getIntegration } from "../../src/integrations/integrations.ts";
import { deleteIntegration, updateIntegration } from "../../src/lifecycle/integrations.ts";
import { introduceItem } from "../support/link.ts";
import { finishIntegrations } from "../../src/lifecycle/unfinished.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { markAll } from "../support/mark.ts";
import { append } from "../../src/journal/append.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { SECRETS, integrate } from "../integrations/support.ts";

const SUBJECTS = 2500;

/** Items of the integration with webhooks, more than two transactions change. */
const addSubjects = async ({ database }: World, id: string, more: string): Promise<void> =>
  void (await database.query(
    `insert into sync.subjects (integration_id, kind, id, ${more.split("=")[0]})
     select $1, 'item', 'item-' || lpad(n::text, 5, '0'), ${more.split("=")[1]} from generate_series(1, ${SUBJECTS}) n`,
    [id],
  ));

const countOf = async (q: Queryable, what: string, values: readonly unknown[]): Promise<number> =>
  (await q.query<{ n: number }>(`select count(*)::int as n from ${what}`, values)).rows[0]?.n ?? 0;

/** Runs `meanwhile` while `work` waits for the integration's last subject, which is held. */
async function whileHeld(database: Database, id: string, work: () => Promise<unknown>, meanwhile: () => Promise<void>) {
  let working: Promise<unknown> = Promise.resolve();
  await database.transaction(async (tx) => {
    await tx.query("select from sync.subjects where integration_id = $1 order by id desc limit 1 for update", [id]);
    working = work();
    await expect
      .poll(() =>
        countOf(database, "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'", []),
      )
      .toBe(1);
    await meanwhile();
  });
  await working;
}

/** `database`, as used by a process that ends before it sends its `count`th statement with `text`. */
function endsBefore(database: Database, text: string, count: number): Database {
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
    transaction: (work, kind) => database.transaction((tx) => work(watch(tx)), kind),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

describe("deleting an integration", () => {
  test("deleting an integration with many items delays no webhook of another", async () => {
    await using world = await startWorld();
    const { database } = world;
    const [id, other] = [await integrate(world), await integrate(world)];
    await addSubjects(world, id, "due_at = now()");
    await using accept = openWebhookIntake({ database, queueMax: 100, logger });
    await whileHeld(
      database,
      id,
      () => deleteIntegration(database, id),
      async () => {
        // The deletion itself is known to all already.
        expect(await getIntegration(database, id)).toBeNull();
        const about = (integrationId: string, itemId: string) => accept.accept(webhook({ integrationId, itemId }));
        const answers = await Promise.allSettled([
          about(id, "item-00001"),
          ...Array.from({ length: 19 }, (_, index) => about(other, `item-${index}`)),
        ]);
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => "fulfilled"));
      },
    );
    await database.query(
      "insert into tartan.items (integration_id, item_id, access_token_sealed) select $1, 'item-' || n, '\\x00' from generate_series(0, 18) n",
      [other],
    );
    await markAll(database);
    const due = "sync.subjects where integration_id = $1 and due_at is not null";
    expect([await countOf(database, due, [id]), await countOf(database, due, [other])]).toEqual([0, 19]);
    expect(await countOf(database, "journal.webhooks where integration_id = $1 and processed_at is null", [id])).toBe(
      0,
    );
  });

  test.each([
    ["access_token_sealed = null", 1],
    ["lease_token = null", 2],
    ["item_unknown", 1],
    ["oldest_unserved = null", 1],
    ["set unfinished = $3", 1],
  ])(
    "another process finishes the deletion of an integration when the first one ends before %j",
    async (text, count) => {
      await using world = await startWorld();
      const { database } = world;
      const [id, other] = [await integrate(world), await integrate(world)];
      for (const integration_id of [id, other])
        await introduceItem(world, { integration_id, item_id: "item-1", access_token: SECRETS.token });
      await addSubjects(world, id, "due_at = now()");
      const receivedAt = new Date(Date.now() - 24 * 60 * 60_000);
      await append(database, [webhook({ integrationId: id, receivedAt })]);
      await markAll(database);
      await expect(deleteIntegration(endsBefore(database, text, count), id)).rejects.toThrow("the process ended");
      expect(await getIntegration(database, id)).toBeNull();
      await finishIntegrations(database);
      const left = async (integration: string) =>
        await Promise.all(
          [
            "tartan.items where integration_id = $1 and access_token_sealed is not null",
            "sync.subjects where integration_id = $1 and (due_at is not null or status <> 'unlinked' or oldest_unserved is not null)",
            "journal.webhooks where integration_id = $1 and processed_at is null",
            "events.events where integration_id = $1 and type = 'item.removed'",
            "tartan.integrations where id = $1 and unfinished is not null",
          ].map((what) => countOf(database, what, [integration])),
        );
      expect(await left(id)).toEqual([0, 0, 0, 1, 0]);
      expect(await left(other)).toEqual([1, 1, 1, 0, 0]);
    },
  );

  test("purging an integration leaves nothing, not even webhooks of a process that missed the notification", async () => {
    await using world = await startWorld();
    const { database } = world;
    const id = await integrate(world);
    await introduceItem(world, { integration_id: id, item_id: "item-1", access_token: SECRETS.token });
    const deaf: Database = {
      ...database,
      query: database.query.bind(database),
      transaction: database.transaction.bind(database),
      listen: async () => ({ [Symbol.asyncDispose]: async () => undefined }),
    };
    await using directory = await openDirectory({ database: deaf, vault: world.vault, logger, clock: systemClock });
    await deleteIntegration(database, id, { purge: true });
    expect((await directory.find(id))?.id).toBe(id);
    await append(database, [webhook({ integrationId: id })]);
    await markAll(database);
    await finishIntegrations(database);
    const rows = (table: string, column = "integration_id") => countOf(database, `${table} where ${column} = $1`, [id]);
    expect([
      await rows("journal.webhooks"),
      await rows("sync.subjects"),
      await rows("tartan.integrations", "id"),
    ]).toEqual([0, 0, 1]);
    await append(database, [webhook({ integrationId: id })]);
    await markAll(database);
    await database.query("update tartan.integrations set deleted_at = now() - interval '2 minutes'");
    await finishIntegrations(database);
    expect([
      await rows("journal.webhooks"),
      await rows("sync.subjects"),
      await rows("tartan.integrations", "id"),
    ]).toEqual([0, 0, 0]);
    await expect(deleteIntegration(database, id, { purge: true })).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("new credentials", () => {
  const due = "sync.subjects where integration_id = $1 and due_at is not null";

  test("new credentials are stored at once, however many items are to be tried again, and delay no webhook", async () => {
    await using world = await startWorld();
    const { database } = world;
    const id = await integrate(world);
    await addSubjects(world, id, "status = 'misconfigured'");
    await using accept = openWebhookIntake({ database, queueMax: 100, logger });
    await whileHeld(
      database,
      id,
      () => updateIntegration(database, world.vault, id, { client_id: "client-2" }),
      async () => {
        expect((await getIntegration(database, id))?.client_id).toBe("client-2");
        await accept.accept(webhook({ integrationId: id, itemId: "item-00001" }));
      },
    );
    expect(await countOf(database, due, [id])).toBe(SUBJECTS);
  });

  test("new credentials reach every item, also when the process that stored them ends", async () => {
    await using world = await startWorld();
    const { database } = world;
    const id = await integrate(world);
    await addSubjects(world, id, "status = 'misconfigured'");
    const ending = endsBefore(database, "'misconfigured'", 2);
    await expect(updateIntegration(ending, world.vault, id, { client_id: "client-2" })).rejects.toThrow(
      "the process ended",
    );
    expect((await getIntegration(database, id))?.client_id).toBe("client-2");
    expect(await countOf(database, due, [id])).toBe(1000);
    await finishIntegrations(database);
    expect(await countOf(database, due, [id])).toBe(SUBJECTS);
    expect(await countOf(database, "tartan.integrations where unfinished is not null", [])).toBe(0);
  });
});
