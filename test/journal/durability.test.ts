/** 200 means safe: every statement that journals a webhook waits for the disk when it commits. */
import { expect, test } from "vitest";
import { integrate } from "../integrations/support.ts";
import { introduceItem } from "../support/link.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { append } from "../../src/journal/append.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld, type World } from "../support/world/index.ts";

const WAYS: Record<string, (world: World) => Promise<unknown>> = {
  "the append of a batch": ({ database }) => append(database, [webhook(), webhook()]),
  "the append in a transaction of its caller": ({ database }) => database.transaction((tx) => append(tx, [webhook()])),
  "the group commit": async ({ database }) => {
    await using accept = openWebhookIntake({ database, queueMax: 10, logger });
    await Promise.all([accept.accept(webhook()), accept.accept(webhook())]);
  },
  "the linking of an item": async (world) => {
    const integration_id = await integrate(world);
    await introduceItem(world, { integration_id, item_id: "item-1", access_token: "access-sandbox-1" });
  },
};

test.each(Object.keys(WAYS))("%s commits synchronously", async (way) => {
  await using world = await startWorld();
  // Fires as the transaction commits, when nothing can change the setting any more.
  await world.database.query(`
    create table public.commits (synchronous text);
    create function public.note_commit() returns trigger language plpgsql as $$
    begin
      insert into public.commits values (current_setting('synchronous_commit'));
      return null;
    end $$;
    create constraint trigger note_commit after insert on events.outbox deferrable initially deferred
      for each row execute function public.note_commit()`);
  await WAYS[way]?.(world);
  const { rows } = await world.database.query<{ synchronous: string }>(
    "select distinct synchronous from public.commits",
  );
  expect(rows).toEqual([{ synchronous: "on" }]);
});
