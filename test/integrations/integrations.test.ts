/** Integrations: made, shown without secrets, changed, deleted without a trace of what was secret. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import {
  createIntegration,
  getIntegration,
  integrationUrl,
  listIntegrations,
  rotateWebhookSecret,
} from "../../src/integrations/integrations.ts";
import { deleteIntegration, updateIntegration } from "../../src/lifecycle/integrations.ts";
import { introduceItem } from "../support/link.ts";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { silentLogger } from "../../src/logger.ts";
import { scene, SECRETS, eventsOf, type Scene } from "./support.ts";

/** What a directory opened just now knows of it: the secrets as they would be used. */
async function known({ database, vault }: Scene, id: string) {
  await using directory = await openDirectory({ database, vault, logger: silentLogger, clock: systemClock });
  return await directory.find(id);
}

describe("creating", () => {
  test("a new integration is stored with its secrets sealed, and shown without them", async () => {
    await using it = await scene();
    const made = await createIntegration(it.database, it.vault, {
      client_id: "client-1",
      secret: SECRETS.client,
      environment: "production",
    });
    expect(made.id).toMatch(/^svi_[a-z0-9]{22,}$/);
    expect(made.plaid_url).toBe("https://production.plaid.com");
    expect(made.webhook_secret.length).toBeGreaterThanOrEqual(24);
    const { webhook_secret, ...shown } = made;
    expect(await getIntegration(it.database, made.id)).toEqual(shown);
    expect(await listIntegrations(it.database)).toEqual([shown]);
    expect(JSON.stringify(shown)).not.toContain(SECRETS.client);
    const { rows } = await it.database.query("select i::text as row from tartan.integrations i");
    for (const secret of [SECRETS.client, webhook_secret]) {
      expect(JSON.stringify(rows)).not.toContain(secret);
      expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret).toString("hex"));
    }
    expect(await known(it, made.id)).toMatchObject({ secret: SECRETS.client, webhookSecret: webhook_secret });
  });

  test("every invalid field of an integration is named, and no value is repeated", async () => {
    await using it = await scene();
    const input = {
      client_id: " ",
      secret: "nul\0nul",
      environment: "development" as "sandbox",
      plaid_url: "ftp://plaid",
      webhook_secret: "geheim",
      country_codes: ["usa"],
    };
    const error = await createIntegration(it.database, it.vault, input).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "invalid_request" });
    const { country_codes: _codes, ...others } = input;
    expect(Object.keys((error as { fields: object }).fields).toSorted()).toEqual(
      [...Object.keys(others), "country_codes.0"].toSorted(),
    );
    expect((error as Error).message).not.toContain("geheim");
    expect(await listIntegrations(it.database)).toEqual([]);
  });

  test("a webhook secret that no header carries unchanged is refused", async () => {
    await using it = await scene();
    for (const webhook_secret of [
      " leading1",
      "trailing1 ",
      "tab\tinside",
      "ümläute1",
      "line\nbreak",
      "short",
      "x".repeat(501),
    ]) {
      await expect(it.integrate({ webhook_secret })).rejects.toMatchObject({
        fields: { webhook_secret: expect.any(String) },
      });
    }
    await it.integrate({ webhook_secret: "with a space, and #!$" });
  });
});

describe("changing", () => {
  test("a rotated webhook secret replaces the old one", async () => {
    await using it = await scene();
    const id = await it.integrate();
    const { webhook_secret } = await rotateWebhookSecret(it.database, it.vault, id);
    expect(webhook_secret).not.toBe(SECRETS.webhook);
    expect(await known(it, id)).toMatchObject({ webhookSecret: webhook_secret, secret: SECRETS.client });
    expect(await rotateWebhookSecret(it.database, it.vault, id, "chosen-by-me")).toEqual({
      webhook_secret: "chosen-by-me",
    });
    await expect(rotateWebhookSecret(it.database, it.vault, id, "short")).rejects.toMatchObject({
      fields: { webhook_secret: expect.any(String) },
    });
  });

  test("new credentials make only the subjects due that failed with the old ones", async () => {
    await using it = await scene();
    const id = await it.integrate();
    await it.database.query(
      `insert into sync.subjects (integration_id, kind, id, status) values
         ($1, 'item', 'a', 'misconfigured'), ($1, 'item', 'b', 'needs_user')`,
      [id],
    );
    const updated = await updateIntegration(it.database, it.vault, id, { secret: "a-new-plaid-secret", name: "Mine" });
    expect(updated).toMatchObject({ name: "Mine", client_id: "client-1" });
    expect(await known(it, id)).toMatchObject({ secret: "a-new-plaid-secret", webhookSecret: SECRETS.webhook });
    const { rows } = await it.database.query("select id from sync.subjects where due_at is not null");
    expect(rows).toEqual([{ id: "a" }]);
  });

  test("an integration that does not exist cannot be changed", async () => {
    await using it = await scene();
    const no = { code: "not_found" };
    await expect(updateIntegration(it.database, it.vault, "svi_none", { name: "x" })).rejects.toMatchObject(no);
    await expect(rotateWebhookSecret(it.database, it.vault, "svi_none")).rejects.toMatchObject(no);
    await expect(deleteIntegration(it.database, "svi_none")).rejects.toMatchObject(no);
    expect(await getIntegration(it.database, "svi_none")).toBeNull();
  });
});

describe("deleting", () => {
  const token = SECRETS.token;

  test("deleting an integration deletes its secrets and tokens, takes its subjects out of the queue and keeps its rows", async () => {
    await using it = await scene();
    const { database } = it;
    const [id, other] = [await it.integrate(), await it.integrate()];
    for (const each of [id, other]) {
      await introduceItem(it, { integration_id: each, item_id: "item-1", access_token: token });
      await addMirrorRow(it, each);
    }
    await deleteIntegration(database, id);
    expect((await listIntegrations(database)).map((integration) => integration.id)).toEqual([other]);
    const { rows: items } = await database.query<{ integration_id: string }>(
      "select integration_id from tartan.items where access_token_sealed is not null",
    );
    expect(items).toEqual([{ integration_id: other }]);
    const { rows: sealed } = await database.query(
      "select id from tartan.integrations where client_secret_sealed is not null or webhook_secret_sealed is not null",
    );
    expect(sealed).toEqual([{ id: other }]);
    const { rows: due } = await database.query("select integration_id from sync.subjects where due_at is not null");
    expect(due).toEqual([{ integration_id: other }]);
    const { rows: waiting } = await database.query(
      "select integration_id from journal.webhooks where processed_at is null",
    );
    expect(waiting).toEqual([{ integration_id: other }]);
    expect(await count(it, "plaid.transactions", id)).toBe(1);
    await expect(
      introduceItem(it, { integration_id: id, item_id: "item-2", access_token: token }),
    ).rejects.toMatchObject({ code: "not_found" });
  });

  test("deleting an integration records item.removed for each linked item and for no other", async () => {
    await using it = await scene();
    const { database } = it;
    const id = await it.integrate();
    for (const item_id of ["item-1", "item-2", "item-3"])
      await introduceItem(it, { integration_id: id, item_id, access_token: token, user_id: "u" });
    await unlinkItem(database, id, "item-3");
    const before = await eventsOf(it, "item-3");
    await deleteIntegration(database, id);
    await deleteIntegration(database, id);
    for (const item of ["item-1", "item-2"]) {
      expect((await eventsOf(it, item)).slice(1)).toEqual([["item.removed", { reason: "unlinked", error_code: null }]]);
    }
    expect(await eventsOf(it, "item-3")).toEqual(before);
  });

  test("a purge deletes every row of the integration and no row of the others", async () => {
    await using it = await scene();
    const { database } = it;
    const [id, other] = [await it.integrate(), await it.integrate()];
    for (const each of [id, other]) {
      await introduceItem(it, { integration_id: each, item_id: "item-1", access_token: token });
      await addMirrorRow(it, each);
      await database.query("insert into journal.refusals (integration_id, reason) values ($1, 'body_mismatch')", [
        each,
      ]);
    }
    await deleteIntegration(database, id);
    await deleteIntegration(database, id, { purge: true });
    const { rows: tables } = await database.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and exists (select from pg_attribute where attrelid = c.oid and attname = 'integration_id')`,
    );
    expect(tables.length).toBeGreaterThan(8);
    for (const { name } of tables) expect([name, await count(it, name, id)]).toEqual([name, 0]);
    for (const name of [
      "plaid.transactions",
      "journal.webhooks",
      "journal.refusals",
      "sync.subjects",
      "tartan.items",
    ]) {
      expect([name, await count(it, name, other)]).toEqual([name, 1]);
    }
    expect(await getIntegration(database, other)).not.toBeNull();
  });

  async function addMirrorRow({ database }: Scene, id: string): Promise<void> {
    const values = [id, "item-1", "transaction-1"];
    await database.query(
      "insert into plaid.transactions (integration_id, item_id, transaction_id, raw) values ($1, $2, $3, '{}')",
      values,
    );
  }

  async function count({ database }: Scene, table: string, id: string): Promise<number | undefined> {
    const { rows } = await database.query<{ count: number }>(
      `select count(*) as count from ${table} where integration_id = $1`,
      [id],
    );
    return rows[0]?.count;
  }
});

test("the intake URL is the public URL and the id", () => {
  expect(integrationUrl("https://tartan.example.com/", "svi_a")).toBe(
    "https://tartan.example.com/v1/integrations/svi_a",
  );
});
