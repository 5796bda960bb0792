import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { mirroredStatement } from "../../support/statement.ts";
import { startWorld, type Item, type World } from "../../support/world/index.ts";

let world: World<"sync" | "processes">;
let folder: string;
beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "items" }, sync: {}, processes: {} });
  folder = mkdtempSync(join(tmpdir(), "tartan-items-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await world[Symbol.asyncDispose]();
});

const cli = new CommandLine("items", () => world.processes.env);
const made = (count: number): Item[] => world.simulator.control.createItems({ count, transactions: 1 }).items;
/** Links an item as `tartan items add` does. */
async function added(...more: string[]): Promise<string> {
  const [item] = made(1) as [Item];
  const env = { PLAID_ACCESS_TOKEN: item.access_token };
  await cli.with(env).text("items add", item.item_id, "--integration", world.integration.id, ...more);
  return item.item_id;
}
const linked = async (): Promise<string[]> => {
  const { rows } = await world.database.query<{ item_id: string }>(
    "select item_id from tartan.items where access_token_sealed is not null",
  );
  return rows.map(({ item_id }) => item_id);
};

describe("items add", () => {
  it("`tartan items add` links an item with the token of the environment, and links it again as an update", async () => {
    const [item] = made(1) as [Item];
    const adding = cli.with({ PLAID_ACCESS_TOKEN: item.access_token });
    const add = ["items add", item.item_id, "--integration", world.integration.id] as const;
    const first = await adding.text(...add, "--user", "user-1");
    expect(first).toContain(`✓ ${item.item_id} is linked and will be synced`);
    expect(await linked()).toContain(item.item_id);
    const again = await adding.json<{ webhook_id: string }>(...add);
    expect(again).toMatchObject({ item_id: item.item_id, created: false });
    expect(again.webhook_id).toMatch(/^whk_/);
    expect(await cli.json("items show", item.item_id)).toMatchObject({ item_id: item.item_id, user_id: "user-1" });
    const webhook = await new CommandLine("webhooks", () => world.processes.env).text(
      "webhooks show",
      again.webhook_id,
    );
    expect(webhook).toMatch(/webhook\s+ITEM\/CREATED\n/);
    for (const text of [first, JSON.stringify(again), webhook]) expect(text).not.toContain(item.access_token);
  });

  it("`tartan items add` refuses a token that belongs to another item, and no token at all", async () => {
    const [one, other] = made(2) as [Item, Item];
    const add = ["items add", one.item_id, "--integration", world.integration.id] as const;
    const foreign = cli.with({ PLAID_ACCESS_TOKEN: other.access_token });
    expect(await foreign.refusal(...add)).toMatch(/^token_of_another_item: .*Nothing was linked/);
    expect(await cli.refusal(...add)).toMatch(/^invalid_request: .*PLAID_ACCESS_TOKEN/);
    expect(await linked()).not.toContain(one.item_id);
  });
});

describe("items list and show", () => {
  it("`tartan items list` and `show` print an item's status, and the API's answer with --json", async () => {
    const id = await added("--user", "user-of-the-list");
    const listed = await cli.text("items list --user user-of-the-list");
    expect(listed).toMatch(new RegExp(`${id}\\s+user-of-the-list\\s+\\S*\\s*(pending|due)`));
    const page = await cli.json<{ data: unknown[]; next_cursor: null }>("items list --user user-of-the-list");
    expect(page).toMatchObject({
      data: [{ item_id: id, user_id: "user-of-the-list", integration_id: world.integration.id }],
    });
    const shown = await cli.text("items show", id);
    expect(shown).toMatch(new RegExp(`item\\s+${id}\\n`));
    expect(shown).toContain("No run yet.");
    expect(await cli.json("items show", id)).toMatchObject({
      item_id: id,
      runs: [],
      resources: expect.any(Array) as unknown,
    });
  });

  it("`tartan items list` without matching items names the filters, and refuses an unknown status", async () => {
    expect(await cli.text("items list --user nobody --status ended")).toContain(
      "No item matches --user nobody --status ended",
    );
    expect(await cli.refusal("items list --status nope")).toMatch(/^invalid_request: .*must be one of pending, ok/);
  });

  it("`tartan items show` of an item with only webhooks says that its token is missing", async () => {
    await world.database.query(
      "insert into sync.subjects (integration_id, kind, id, status) values ($1, 'item', 'never-linked', 'unlinked')",
      [world.integration.id],
    );
    expect(await cli.text("items list --status unlinked")).toContain("never-linked");
    expect(await cli.text("items show never-linked")).toContain("its access token has not");
    expect(await cli.refusal("items show not-an-item")).toMatch(/^not_found: .*npx tartan items list/);
  });
});

describe("items import", () => {
  const importing = (file: string) => ["items import", file, "--integration", world.integration.id] as const;
  const writeLines = (name: string, lines: readonly string[]): string => {
    const file = join(folder, name);
    writeFileSync(file, lines.join("\n"));
    return file;
  };
  const jsonLines = (items: readonly Item[]): string[] => items.map((item) => JSON.stringify(item));

  it("`tartan items import` links the items of a CSV file, a bad line fails alone, and a second run imports the rest", async () => {
    const items = made(25);
    const header = "item_id,access_token,user_id";
    const lines = items.map(({ item_id, access_token }, index) => `${item_id},${access_token},user-${index}`);
    const bad = lines.with(7, `${items[7]?.item_id},,user-7`);
    const file = writeLines("items.csv", [header, ...bad]);

    const first = await cli.run(...importing(file));
    expect(first.code).toBe(1);
    expect(first.stdout).toContain("24 linked");
    expect(first.stdout).toContain("access_token is missing");
    for (const { access_token } of items) expect(first.stdout + first.stderr).not.toContain(access_token);
    expect(readFileSync(`${file}.report.jsonl`, "utf8")).not.toContain("access-");

    writeLines("items.csv", [header, ...lines]);
    const second = await cli.text(...importing(file));
    expect(second).toContain("1 linked");
    expect(second).toContain("24 skipped");
    const page = await cli.json<{ data: unknown[] }>("items list --user user-7");
    expect(page.data).toHaveLength(1);
  });

  it("`tartan items import` links the items of a JSONL file, also of one that replaced another although the report names its lines", async () => {
    for (const _ of ["first", "second"]) {
      const items = made(3);
      const file = writeLines("replaced.jsonl", jsonLines(items));
      const counts = { linked: 3, updated: 0, failed: 0, skipped: 0, report: `${file}.report.jsonl` };
      expect(await cli.json(...importing(file))).toEqual(counts);
      expect(await linked()).toEqual(expect.arrayContaining(items.map(({ item_id }) => item_id)));
    }
  });

  it("`tartan items import` refuses a file or an integration that does not exist", async () => {
    expect(await cli.refusal(...importing(join(folder, "none.csv")))).toMatch(/^invalid_request: .*There is no file/);
    const file = writeLines("few.jsonl", jsonLines(made(1)));
    expect(await cli.refusal(`items import ${file} --integration svi_none`)).toMatch(
      /^not_found: .*npx tartan integrations list/s,
    );
  });
});

describe("items sync and remove", () => {
  const subject = async (id: string) => {
    const { rows } = await world.database.query(
      "select requested, due_at is not null as due from sync.subjects where id = $1",
      [id],
    );
    return rows[0];
  };

  it("`tartan items sync` makes the item due, and --full requests everything again", async () => {
    const id = await added();
    expect(await cli.text("items sync", id)).toContain(`✓ ${id} will be synced now`);
    expect(await subject(id)).toMatchObject({ due: true });
    expect(await cli.json("items sync", id, "--full")).toEqual({ item_id: id, due: true });
    expect(await subject(id)).toEqual({ due: true, requested: expect.arrayContaining(["*:full"]) as unknown });
    expect(await cli.refusal("items sync not-an-item")).toMatch(/^not_found: /);
  });

  it("`tartan items check` prints each row that differs from Plaid, exits with 1, and with 0 once they are healed", async () => {
    const id = await added();
    await using _worker = await world.sync.start();
    const first = await cli.text("items check", id);
    expect(first).toMatch(/check\s+equal to Plaid/);
    await world.database.query("update plaid.accounts set name = 'wrong' where item_id = $1", [id]);
    const { code, stdout } = await cli.run("items check", id, "--resources", "accounts");
    expect(code).toBe(1);
    expect(stdout).toMatch(/accounts\s+\S+\s+name\s+wrong\s+Plaid Checking/);
    expect(await cli.json("items check", id, "--no-wait")).toMatchObject({ item_id: id, status: "running" });
    expect(await cli.refusal("items check not-an-item")).toMatch(/^not_found: /);
  });

  it("`tartan items statement` writes the PDF of a statement to a new file, and refuses one that the item does not have", async () => {
    const [item] = world.simulator.control.createItems({ products: ["statements"] }).items as [Item];
    const env = { PLAID_ACCESS_TOKEN: item.access_token };
    await cli.with(env).text("items add", item.item_id, "--integration", world.integration.id);
    const id = await mirroredStatement(world, item.item_id);
    const output = join(folder, "statement.pdf");
    const fetched = await cli.text("items statement", item.item_id, id, "--output", output, "--reason", "a dispute");
    expect(fetched).toContain(`✓ the statement is in ${output}`);
    expect(readFileSync(output, "latin1")).toMatch(/^%PDF[^]*%%EOF\n$/);
    const again = await cli.json("items statement", item.item_id, id, "--output", output);
    expect(again).toEqual({ item_id: item.item_id, statement_id: id, file: output });
    expect(await cli.refusal("items statement", item.item_id, "another", "--output", output)).toMatch(/^not_found: /);
    writeFileSync(`${output}.part`, "");
    expect(await cli.refusal("items statement", item.item_id, id, "--output", output)).toMatch(
      /^invalid_request: .*statement\.pdf\.part is left .*delete it\./,
    );
    const nowhere = join(folder, "no/such/folder.pdf");
    expect(await cli.refusal("items statement", item.item_id, id, "--output", nowhere)).toMatch(/^invalid_request: /);
  });

  it("`tartan items rotate-token` replaces the token at Plaid only with --yes, prints no token, and refuses an unknown item", async () => {
    const [item] = made(1) as [Item];
    const env = { PLAID_ACCESS_TOKEN: item.access_token, TARTAN_DATA_DIR: folder };
    const rotating = cli.with(env);
    await rotating.text("items add", item.item_id, "--integration", world.integration.id);
    expect(await rotating.refusal("items rotate-token", item.item_id)).toMatch(
      /^invalid_request: .*ends the access token/,
    );
    const said = await rotating.text("items rotate-token", item.item_id, "--yes", "--reason", "it was in a log");
    expect(said).toContain(`✓ ${item.item_id} has a new access token`);
    const again = await rotating.json("items rotate-token", item.item_id, "--yes");
    expect(again).toEqual({
      item_id: item.item_id,
      integration_id: world.integration.id,
      rotated_at: expect.any(String),
    });
    expect(said).not.toContain("access-sandbox");
    expect(await rotating.refusal("items rotate-token not-an-item --yes")).toMatch(/^not_found: /);
  });

  it("`tartan items remove` deletes the token of an item only with --yes, and with --erase everything about it", async () => {
    const [unlinked, erased] = [await added(), await added()];
    expect(await cli.refusal("items remove", unlinked)).toMatch(
      /^invalid_request: .*This deletes the token of \S+ Repeat it with --yes\./,
    );
    expect(await linked()).toEqual(expect.arrayContaining([unlinked, erased]));
    expect(await cli.text("items remove", unlinked, "--yes")).toContain(`${unlinked} is no longer synced`);
    expect(await cli.text("items remove", erased, "--erase", "--yes")).toContain(`${erased} is erased`);
    expect(await linked()).not.toContain(unlinked);
    expect(await cli.json("items show", unlinked)).toMatchObject({ item_id: unlinked });
    expect(await cli.refusal("items show", erased)).toMatch(/^not_found: /);
  });
});

describe("items move-webhooks", () => {
  it("`tartan items move-webhooks` shows its plan, starts a job only with --yes, and refuses two targets", async () => {
    const id = await added();
    const move = ["items move-webhooks --to-intake --item", id] as const;
    const plan = await cli.text(...move, "--dry-run");
    expect(plan).toMatch(/1\s+not read yet\s+http:\/\/\S+\/v1\/integrations\/svi_/);
    expect(await cli.refusal(...move)).toMatch(/^invalid_request: .*This gives 1 item another webhook URL .* --yes\./);
    const job = await cli.json("items move-webhooks --remove --yes --per-minute 60 --item", id);
    expect(job).toMatchObject({
      kind: "webhook_move",
      status: "running",
      total: 1,
      per_minute: 60,
      states: { pending: 1 },
    });
    expect(await cli.refusal(...move, "--yes")).toMatch(/^conflict: .*still works on some of these items/);
    expect(await cli.refusal(...move, "--remove")).toMatch(
      /^invalid_request: .*give one of to, to_intake, remove and roll_back/,
    );
  });
});

everyVerbIsRun(cli);
