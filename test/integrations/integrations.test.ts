/** Integrations: made, shown without secrets, and changed. */
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
import { silentLogger } from "../../src/logger.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { SECRETS, integrate } from "./support.ts";

/** What a directory opened just now knows of it: the secrets as they would be used. */
async function known({ database, vault }: World, id: string) {
  await using directory = await openDirectory({ database, vault, logger: silentLogger, clock: systemClock });
  return await directory.find(id);
}

describe("creating", () => {
  test("a new integration is stored with its secrets sealed, and shown without them", async () => {
    await using world = await startWorld();
    const made = await createIntegration(world.database, world.vault, {
      client_id: "client-1",
      secret: SECRETS.client,
      environment: "production",
    });
    expect(made.id).toMatch(/^svi_[a-z0-9]{22,}$/);
    expect(made.plaid_url).toBe("https://production.plaid.com");
    expect(made.webhook_secret.length).toBeGreaterThanOrEqual(24);
    const { webhook_secret, ...shown } = made;
    expect(await getIntegration(world.database, made.id)).toEqual(shown);
    expect(await listIntegrations(world.database)).toEqual([shown]);
    expect(JSON.stringify(shown)).not.toContain(SECRETS.client);
    const { rows } = await world.database.query("select i::text as row from tartan.integrations i");
    for (const secret of [SECRETS.client, webhook_secret]) {
      expect(JSON.stringify(rows)).not.toContain(secret);
      expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret).toString("hex"));
    }
    expect(await known(world, made.id)).toMatchObject({ secret: SECRETS.client, webhookSecret: webhook_secret });
  });

  test("every invalid field of an integration is named, and no value is repeated", async () => {
    await using world = await startWorld();
    const input = {
      client_id: " ",
      secret: "nul\0nul",
      environment: "development" as "sandbox",
      plaid_url: "ftp://plaid",
      webhook_secret: "geheim",
      country_codes: ["usa"],
    };
    const error = await createIntegration(world.database, world.vault, input).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "invalid_request" });
    const { country_codes: _codes, ...others } = input;
    expect(Object.keys((error as { fields: object }).fields).toSorted()).toEqual(
      [...Object.keys(others), "country_codes.0"].toSorted(),
    );
    expect((error as Error).message).not.toContain("geheim");
    expect(await listIntegrations(world.database)).toEqual([]);
  });

  test("a webhook secret that no header carries unchanged is refused", async () => {
    await using world = await startWorld();
    for (const webhook_secret of [
      " leading1",
      "trailing1 ",
      "tab\tinside",
      "ümläute1",
      "line\nbreak",
      "short",
      "x".repeat(501),
    ]) {
      await expect(integrate(world, { webhook_secret })).rejects.toMatchObject({
        fields: { webhook_secret: expect.any(String) },
      });
    }
    await integrate(world, { webhook_secret: "with a space, and #!$" });
  });
});

describe("changing", () => {
  test("a rotated webhook secret replaces the old one", async () => {
    await using world = await startWorld();
    const id = await integrate(world);
    const { webhook_secret } = await rotateWebhookSecret(world.database, world.vault, id);
    expect(webhook_secret).not.toBe(SECRETS.webhook);
    expect(await known(world, id)).toMatchObject({ webhookSecret: webhook_secret, secret: SECRETS.client });
    expect(await rotateWebhookSecret(world.database, world.vault, id, "chosen-by-me")).toEqual({
      webhook_secret: "chosen-by-me",
    });
    await expect(rotateWebhookSecret(world.database, world.vault, id, "short")).rejects.toMatchObject({
      fields: { webhook_secret: expect.any(String) },
    });
  });

  test("new credentials make only the subjects due that failed with the old ones", async () => {
    await using world = await startWorld();
    const id = await integrate(world);
    await world.database.query(
      `insert into sync.subjects (integration_id, kind, id, status) values
         ($1, 'item', 'a', 'misconfigured'), ($1, 'item', 'b', 'needs_user')`,
      [id],
    );
    const updated = await updateIntegration(world.database, world.vault, id, {
      secret: "a-new-plaid-secret",
      name: "Mine",
    });
    expect(updated).toMatchObject({ name: "Mine", client_id: "client-1" });
    expect(await known(world, id)).toMatchObject({ secret: "a-new-plaid-secret", webhookSecret: SECRETS.webhook });
    const { rows } = await world.database.query("select id from sync.subjects where due_at is not null");
    expect(rows).toEqual([{ id: "a" }]);
  });

  test("an integration that does not exist cannot be changed", async () => {
    await using world = await startWorld();
    const no = { code: "not_found" };
    await expect(updateIntegration(world.database, world.vault, "svi_none", { name: "x" })).rejects.toMatchObject(no);
    await expect(rotateWebhookSecret(world.database, world.vault, "svi_none")).rejects.toMatchObject(no);
    await expect(deleteIntegration(world.database, "svi_none")).rejects.toMatchObject(no);
    expect(await getIntegration(world.database, "svi_none")).toBeNull();
  });
});

test("the intake URL is the public URL and the id", () => {
  expect(integrationUrl("https://tartan.example.com/", "svi_a")).toBe(
    "https://tartan.example.com/v1/integrations/svi_a",
  );
});
