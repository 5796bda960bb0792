/** 200 means safe: every statement that journals a webhook waits for the disk when it commits. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { Database } from "../../src/database/types.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { introduceItem } from "../support/link.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { append } from "../../src/journal/append.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";
import { webhook } from "./support.ts";

const WAYS: Record<string, (database: Database) => Promise<unknown>> = {
  "the append of a batch": (database) => append(database, [webhook(), webhook()]),
  "the append in a transaction of its caller": (database) => database.transaction((tx) => append(tx, [webhook()])),
  "the group commit": async (database) => {
    await using accept = openWebhookIntake({ database, queueMax: 10, logger });
    await Promise.all([accept.accept(webhook()), accept.accept(webhook())]);
  },
  "the linking of an item": async (database) => {
    const vault = openVault([randomBytes(32).toString("base64")]);
    const { id: integration_id } = await createIntegration(database, vault, {
      client_id: "client",
      secret: "plaid-secret-of-this-test",
      environment: "sandbox",
    });
    await introduceItem({ database, vault }, { integration_id, item_id: "item-1", access_token: "access-sandbox-1" });
  },
};

test.each(Object.keys(WAYS))("%s commits synchronously", async (way) => {
  await using db = await testDatabase();
  // Fires as the transaction commits, when nothing can change the setting any more.
  await db.database.query(`
    create table public.commits (synchronous text);
    create function public.note_commit() returns trigger language plpgsql as $$
    begin
      insert into public.commits values (current_setting('synchronous_commit'));
      return null;
    end $$;
    create constraint trigger note_commit after insert on events.outbox deferrable initially deferred
      for each row execute function public.note_commit()`);
  await WAYS[way]?.(db.database);
  const { rows } = await db.database.query<{ synchronous: string }>("select distinct synchronous from public.commits");
  expect(rows).toEqual([{ synchronous: "on" }]);
});
