/** Readers: the mirror and nothing else; a tenant's, its own rows and nothing of anybody else. Searched byte by byte. */
import { describe, expect, test } from "vitest";
import { deleteIntegration } from "../../src/lifecycle/integrations.ts";
import { connected, everything, findings, reader, rowsOf, twoTenants } from "./reader-support.ts";
import { startWorld } from "../support/world/index.ts";

/** It has no rows here; counterparts.test.ts looks at what a reader sees of it. */
const COUNTERPARTS = "plaid.account_counterparts";

describe("the reader of everything", () => {
  test("a full reader sees every table and view of the mirror and no other table of Tartan", async () => {
    await using world = await startWorld();
    await twoTenants(world);
    const url = await reader(world);
    const seen = await everything(url);
    const all = [...seen.keys()].filter((name) => !/^(pg_catalog|information_schema|pg_toast)\./.test(name));
    expect(all).toContain(COUNTERPARTS);
    const ours = all.filter((name) => name !== COUNTERPARTS);
    expect(ours.length).toBeGreaterThanOrEqual(8);
    expect(ours.every((name) => name.startsWith("plaid."))).toBe(true);
    for (const name of ours) expect([name, seen.get(name)?.includes("raw-mine")]).toEqual([name, true]);
    for (const name of ours) expect([name, seen.get(name)?.includes("raw-other")]).toEqual([name, true]);
  });

  test("a full reader finds no token, secret, key or password, neither in the clear nor sealed", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const url = await reader(world);
    const tenant = await reader(world, { integrationId: tenants.mine });
    const passwords = [url, tenant].map((each) => new URL(each).password);
    expect(findings(await everything(url), [...tenants.secrets, ...passwords])).toEqual([]);
  });

  const FORBIDDEN = [
    "insert into plaid.items (integration_id, item_id, raw) values ('a', 'b', '{}')",
    "update plaid.items set user_id = 'x'",
    "delete from plaid.items",
    "truncate plaid.items",
    "create table plaid.mine (id int)",
    "drop view plaid.current_items",
    "alter table plaid.items disable row level security",
    "select * from tartan.items",
    "select * from journal.webhooks",
    "select * from sync.subjects",
    "select * from tartan_meta.migrations",
    "select tartan.protect_mirror()",
    "copy plaid.items to program 'cat'",
    "select pg_read_file('postgresql.conf')",
    "set session authorization postgres",
  ];

  test("a full reader may change nothing and read nothing else, even after it lifts its own limits", async () => {
    await using world = await startWorld();
    await connected(await reader(world), async (client) => {
      await client.query("set default_transaction_read_only = off");
      for (const statement of FORBIDDEN) {
        const code = await client.query(statement).then(
          () => "it may",
          (error: { code?: string }) => error.code,
        );
        expect([statement, code]).toEqual([statement, expect.stringMatching(/^(42501|22023|42704)$/)]);
      }
    });
  });

  test("a reader has a time limit for statements and read-only transactions by default", async () => {
    await using world = await startWorld();
    const [row] = await rowsOf(
      await reader(world),
      `select current_setting('statement_timeout') as timeout, current_setting('default_transaction_read_only') as read_only`,
    );
    expect(row).toEqual({ timeout: "1min", read_only: "on" });
  });
});

describe("a tenant's reader", () => {
  test("a tenant's reader sees its own rows in every table and view of the mirror and no other tenant's", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const seen = await everything(await reader(world, { integrationId: tenants.mine }));
    const ours = [...seen.keys()].filter((name) => name.startsWith("plaid.") && name !== COUNTERPARTS);
    expect(ours.length).toBeGreaterThanOrEqual(8);
    for (const name of ours) expect([name, seen.get(name)?.includes("raw-mine")]).toEqual([name, true]);
    expect(findings(new Map(ours.map((name) => [name, seen.get(name) ?? ""])), tenants.others)).toEqual([]);
  });

  test("a tenant's reader finds nothing of another tenant and nothing secret, the catalogues included", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const url = await reader(world, { integrationId: tenants.mine });
    const others = await reader(world, { integrationId: tenants.other });
    const seen = await everything(url);
    const telling = [tenants.other, "item-other", "raw-other", "plaidclient-other", new URL(others).password];
    expect(findings(seen, [...telling, ...tenants.secrets])).toEqual([]);
  });

  test("a tenant's reader learns nothing through functions that report their arguments", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const url = await reader(world, { integrationId: tenants.mine });
    const shown = await connected(url, async (client) => {
      const notices: string[] = [];
      client.on("notice", (notice) => notices.push(notice.message ?? ""));
      await client.query("set default_transaction_read_only = off");
      await client.query(
        `create function pg_temp.report(text) returns boolean language plpgsql cost 0.0000001 as
         $$ begin raise notice 'shown %', $1; return true; end $$`,
      );
      for (const relation of ["plaid.items", "plaid.current_items", "plaid.current_transactions"]) {
        await client.query(`select * from ${relation} where pg_temp.report(raw::text)`);
      }
      return notices;
    });
    expect(shown.join()).toContain("raw-mine");
    expect(shown.join()).not.toContain("other");
  });

  test("a tenant's reader learns nothing about others from their roles or from notifications", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const url = await reader(world, { integrationId: tenants.mine });
    const otherRole = new URL(await reader(world, { integrationId: tenants.other })).username;
    expect(await rowsOf(url, "select plaid.tenant(current_user) as tenant")).toEqual([{ tenant: tenants.mine }]);
    expect(await rowsOf(url, "select plaid.tenant($1) as tenant", [otherRole])).toEqual([{ tenant: "" }]);
    await expect(rowsOf(url, `set role ${otherRole}`)).rejects.toMatchObject({ code: "42501" });
    const received = await connected(url, async (client) => {
      const notifications: string[] = [];
      client.on("notification", ({ channel, payload }) => notifications.push(`${channel} ${payload}`));
      await client.query("listen tartan_integrations; listen tartan_due");
      await deleteIntegration(world.database, tenants.other);
      await expect
        .poll(async () => (await client.query("select 1")) && notifications.length, { timeout: 10_000 })
        .toBeGreaterThan(0);
      return notifications.join();
    });
    expect(received).not.toContain(tenants.other);
  });

  test("a tenant's reader that tartan.readers no longer lists sees nothing", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const url = await reader(world, { integrationId: tenants.mine });
    await world.database.query("delete from tartan.readers");
    expect(await rowsOf(url, "select * from plaid.items")).toEqual([]);
    expect(await rowsOf(url, "select * from current_items")).toEqual([]);
  });

  test("a tenant's reader is dropped when its integration is purged", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const url = await reader(world, { integrationId: tenants.mine });
    await deleteIntegration(world.database, tenants.mine, { purge: true });
    await expect(rowsOf(url, "select 1")).rejects.toMatchObject({ code: expect.stringMatching(/^28/) });
  });

  test("a reader of an integration that does not exist is refused", async () => {
    await using world = await startWorld();
    await expect(reader(world, { integrationId: "svi_none" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("a tenant's reader sees its own rows in tables that a later migration adds", async () => {
    await using world = await startWorld();
    const tenants = await twoTenants(world);
    const url = await reader(world, { integrationId: tenants.mine });
    await world.database.query(
      `create table plaid.later_rows (integration_id text not null, item_id text not null, holding_id text not null,
         raw jsonb not null, removed_at timestamptz, primary key (integration_id, item_id, holding_id))`,
    );
    await expect(rowsOf(url, "select * from plaid.later_rows")).rejects.toMatchObject({ code: "42501" });
    await world.database.query("select tartan.protect_mirror()");
    await world.database.query(
      "insert into plaid.later_rows values ($1, 'i', 'h', '{}', null), ($2, 'i', 'h', '{}', null)",
      [tenants.mine, tenants.other],
    );
    for (const relation of ["plaid.later_rows", "current_later_rows"]) {
      expect(await rowsOf(url, `select integration_id from ${relation}`)).toEqual([{ integration_id: tenants.mine }]);
    }
  });
});
