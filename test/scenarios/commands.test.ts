/** The command line, as a person and as a script use it: real processes on a real database and a simulated Plaid. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runTartan } from "../support/process.ts";
import { openStage, type Stage } from "../support/stage.ts";

let stage: Stage;
let folder: string;

beforeAll(async () => {
  stage = await openStage({ seed: "commands" });
  folder = mkdtempSync(join(tmpdir(), "tartan-commands-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await stage[Symbol.asyncDispose]();
});

const tartan = (...args: string[]) => runTartan(stage.env, args);
const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await tartan(...args, "--json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};

const CREATE = "integrations create plaid_item_v1 --environment sandbox".split(" ");
/** For the stage's Plaid client, but for the secret. */
const creation = () => [...CREATE, "--client-id", stage.simulator.clientId, "--plaid-url", stage.simulator.url];

describe("integrations", () => {
  it("an integration is created without a terminal after Plaid accepted its credentials", async () => {
    const { code, stdout } = await runTartan({ ...stage.env, PLAID_SECRET: stage.simulator.secret }, creation());
    expect(code).toBe(0);
    expect(stdout).toMatch(/http:\/\/127\.0\.0\.1:4400\/v1\/integrations\/svi_\w+/);
    expect(stdout).toContain("What to do next");
    expect(stdout).not.toContain(stage.simulator.secret);
  });

  it("an integration is not created with credentials that Plaid refuses", async () => {
    const before = await json("integrations", "list");
    const { code, stderr } = await runTartan({ ...stage.env, PLAID_SECRET: "wrong" }, creation());
    expect(code).toBe(1);
    expect(stderr).toContain("plaid_credentials_refused");
    expect(await json("integrations", "list")).toEqual(before);
  });

  it("creating an integration without a terminal names every missing option", async () => {
    const { code, stderr } = await tartan("integrations", "create", "plaid_item_v1");
    expect(code).toBe(1);
    for (const field of ["client_id", "secret", "environment"]) expect(stderr).toContain(field);
  });

  it("updating an integration changes the given options and leaves the rest", async () => {
    const options = ["--days-requested", "730", "--include-original-description", "--name", "Ours"];
    const made = await json<{ id: string }>(...creation(), "--secret", stage.simulator.secret, ...options);
    expect(made).toMatchObject({ days_requested: 730, include_original_description: true, name: "Ours" });
    const update = ["integrations", "update", made.id];
    expect(await json<object>(...update, "--no-include-original-description")).toMatchObject({
      days_requested: 730,
      include_original_description: false,
      name: "Ours",
    });
    expect(await json<object>(...update, "--days-requested", "default")).toMatchObject({ days_requested: null });
    for (const days of ["731", "0", "many"]) {
      const refused = await tartan(...update, "--days-requested", days);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("days_requested");
    }
    expect((await tartan(...update)).stderr).toContain("No setting to change was given");
  });

  it("an integration can be shown, given another secret, and deleted only with --yes", async () => {
    const made = await json<{ id: string; webhook_secret: string }>(
      ...creation(),
      "--secret",
      stage.simulator.secret,
      "--name",
      "Short-lived",
    );
    expect(await json<object>("integrations", "show", made.id)).toMatchObject({ id: made.id, name: "Short-lived" });
    const rotated = await json<{ webhook_secret: string }>("integrations", "rotate-secret", made.id);
    expect(rotated.webhook_secret).not.toBe(made.webhook_secret);
    const refused = await tartan("integrations", "delete", made.id);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("--yes");
    expect((await tartan("integrations", "delete", made.id, "--yes")).code).toBe(0);
    expect((await tartan("integrations", "show", made.id)).code).toBe(1);
  });
});

describe("items", () => {
  it("items are imported from CSV, a bad line fails alone, and a second run imports the rest", async () => {
    const { items } = stage.simulator.control.createItems({ count: 25, transactions: 1 });
    const file = join(folder, "items.csv");
    const lines = items.map(({ item_id, access_token }, index) => `${item_id},${access_token},user-${index}`);
    lines[7] = `${items[7]?.item_id},,user-7`;
    writeFileSync(file, ["item_id,access_token,user_id", ...lines].join("\n"));
    const importing = ["items", "import", file, "--integration", stage.integration.id] as const;

    const first = await tartan(...importing);
    expect(first.code).toBe(1);
    expect(first.stdout).toContain("24 linked");
    expect(first.stdout).toContain("access_token is missing");
    for (const { access_token } of items) expect(first.stdout + first.stderr).not.toContain(access_token);
    expect(readFileSync(`${file}.report.jsonl`, "utf8")).not.toContain("access-");

    lines[7] = `${items[7]?.item_id},${items[7]?.access_token},user-7`;
    writeFileSync(file, ["item_id,access_token,user_id", ...lines].join("\n"));
    const second = await tartan(...importing);
    expect(second.code, second.stdout).toBe(0);
    expect(second.stdout).toContain("1 linked");
    expect(second.stdout).toContain("24 skipped");
    const page = await json<{ data: { user_id: string }[] }>("items", "list", "--user", "user-7");
    expect(page.data).toHaveLength(1);
  });

  it("a list without matching items names the filters, and an unknown status is refused", async () => {
    const none = await tartan("items", "list", "--user", "nobody", "--status", "ended");
    expect(none.stdout).toContain("No item matches --user nobody --status ended");
    const refused = await tartan("items", "list", "--status", "nope");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("must be one of pending, ok");
  });

  it("an item with only webhooks is shown with its missing token", async () => {
    await stage.database.query(
      "insert into sync.subjects (integration_id, kind, id, status) values ($1, 'item', 'never-linked', 'unlinked')",
      [stage.integration.id],
    );
    expect((await tartan("items", "list", "--status", "unlinked")).stdout).toContain("never-linked");
    expect((await tartan("items", "show", "never-linked")).stdout).toContain("its access token has not");
  });

  it("items are imported from JSONL", async () => {
    const { items } = stage.simulator.control.createItems({ count: 3, transactions: 1 });
    const file = join(folder, "items.jsonl");
    writeFileSync(file, items.map((item) => JSON.stringify(item)).join("\n"));
    const { code, stdout } = await tartan("items", "import", file, "--integration", stage.integration.id);
    expect(code, stdout).toBe(0);
    expect(stdout).toContain("3 linked");
  });

  it("all items of a file that replaced another are imported although the report names their lines", async () => {
    const file = join(folder, "replaced.jsonl");
    for (const _ of ["first", "second"]) {
      const { items } = stage.simulator.control.createItems({ count: 3, transactions: 1 });
      writeFileSync(file, items.map((item) => JSON.stringify(item)).join("\n"));
      const { code, stdout } = await tartan("items", "import", file, "--integration", stage.integration.id);
      expect(code, stdout).toBe(0);
      expect(stdout).toContain("3 linked");
    }
  });

  it("an item can be shown, synced, unlinked and erased", async () => {
    const [item] = stage.simulator.control.createItems({ count: 1, transactions: 1 }).items;
    const env = { ...stage.env, PLAID_ACCESS_TOKEN: item?.access_token ?? "" };
    const itemId = item?.item_id ?? "";
    const added = await runTartan(env, ["items", "add", itemId, "--integration", stage.integration.id, "--user", "u"]);
    expect(added.code, added.stderr).toBe(0);
    expect(await json<object>("items", "show", itemId)).toMatchObject({ item_id: itemId, user_id: "u" });
    expect((await tartan("items", "sync", itemId, "--full")).code).toBe(0);
    expect((await tartan("items", "remove", itemId)).stderr).toContain("--yes");
    expect((await tartan("items", "remove", itemId, "--erase", "--yes")).code).toBe(0);
    expect((await tartan("items", "show", itemId)).code).toBe(1);
  });
});

describe("the rest", () => {
  it("webhooks can be listed and shown", async () => {
    const page = await json<{ data: { id: string }[] }>("webhooks", "list", "--type", "ITEM", "--limit", "5");
    expect(page.data).toHaveLength(5);
    const { stdout } = await tartan("webhooks", "show", page.data[0]?.id ?? "");
    expect(stdout).toContain("CREATED");
    expect(stdout).not.toContain("access-sandbox");
    expect((await tartan("webhooks", "show", "whk_nonsense")).code).toBe(1);
  });

  it("`tartan vault rotate` seals everything under another key, and the old key is no longer needed", async () => {
    const next = Buffer.alloc(32, 7).toString("base64");
    const both = { ...stage.env, TARTAN_MASTER_KEY: `${next},${stage.env["TARTAN_MASTER_KEY"]}` };
    const rotated = await runTartan(both, ["vault", "rotate"]);
    expect(rotated.code, rotated.stderr).toBe(0);
    const alone = { ...stage.env, TARTAN_MASTER_KEY: next };
    const list = await runTartan(alone, ["integrations", "rotate-secret", stage.integration.id, "--json"]);
    expect(list.code, list.stderr).toBe(0);
    const back = { ...stage.env, TARTAN_MASTER_KEY: `${stage.env["TARTAN_MASTER_KEY"]},${next}` };
    expect((await runTartan(back, ["vault", "rotate"])).code).toBe(0);
  });

  it("all errors of a configuration are reported together before anything starts", async () => {
    const env = { ...stage.env, TARTAN_PORT: "nonsense", TARTAN_HOTS: "x", TARTAN_ADMIN_KEY: "short" };
    const { code, stderr } = await runTartan(env, ["up"]);
    expect(code).toBe(1);
    for (const name of ["TARTAN_PORT", "TARTAN_HOTS", "TARTAN_ADMIN_KEY"]) expect(stderr).toContain(name);
  });

  it("`tartan status`, `tartan migrate` and `tartan keys reset` answer with JSON", async () => {
    expect(await json<object>("status")).toHaveProperty("due");
    expect(await json<object>("migrate")).toMatchObject({ applied: [] });
    expect((await json<{ key: string }>("keys", "reset")).key.length).toBeGreaterThan(20);
  });
});
