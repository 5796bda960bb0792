import { afterAll, beforeAll, expect, it } from "vitest";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"integration" | "processes">;
beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "integrations" }, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("integrations", () => world.processes.env);

interface Made {
  id: string;
  url: string;
  webhook_secret: string;
}

const CREATE = "integrations create plaid_item_v1 --environment sandbox";
/** For the simulator's Plaid client, but for the secret. */
const client = () => ["--client-id", world.simulator.clientId, "--plaid-url", world.simulator.url];
const withSecret = () => [...client(), "--secret", world.simulator.secret];
const create = (...more: string[]) => cli.json<Made>(CREATE, ...withSecret(), ...more);
const count = async () =>
  (await world.database.query("select from tartan.integrations where deleted_at is null")).rowCount;

it("`tartan integrations create` connects a Plaid client without a terminal after Plaid accepted its credentials", async () => {
  const said = await cli.with({ PLAID_SECRET: world.simulator.secret }).text(CREATE, ...client());
  expect(said).toContain("Plaid accepts the credentials");
  expect(said).toMatch(/webhook URL\s+http:\/\/127\.0\.0\.1:4400\/v1\/integrations\/svi_\w+/);
  expect(said).toMatch(/webhook secret\s+\S{20,}/);
  expect(said).toContain("What to do next");
  expect(said).not.toContain(world.simulator.secret);
});

it("`tartan integrations create` connects nothing with credentials that Plaid refuses", async () => {
  const before = await count();
  const refused = await cli.with({ PLAID_SECRET: "wrong" }).refusal(CREATE, ...client());
  expect(refused).toMatch(/^plaid_credentials_refused: /);
  expect(await count()).toBe(before);
});

it("`tartan integrations create` without a terminal names every missing option", async () => {
  const refused = await cli.refusal("integrations create plaid_item_v1");
  for (const field of ["client_id", "secret", "environment"]) expect(refused).toContain(field);
  expect(await cli.refusal("integrations create plaid_item_v2")).toMatch(/^invalid_request: .*use plaid_item_v1/);
});

it("`tartan integrations list` and `show` print the intake URL of each, and never a secret", async () => {
  const made = await create("--name", "Shown", "--country", "us", "ca");
  const listed = await cli.text("integrations list");
  expect(listed).toMatch(new RegExp(`${made.id}\\s+Shown\\s+sandbox\\s+http://127`));
  const { data } = await cli.json<{ data: Made[] }>("integrations list");
  expect(data).toContainEqual(expect.objectContaining({ id: made.id, url: made.url }));

  const shown = await cli.text("integrations show", made.id);
  expect(shown).toMatch(/name\s+Shown\n/);
  expect(shown).toMatch(new RegExp(`webhook URL\\s+${made.url}\\n`));
  expect(shown).toMatch(/countries\s+US CA\n/);
  expect(shown).toMatch(/days requested\s+Plaid's default \(90\)\n/);
  const secrets = new RegExp(`${made.webhook_secret}|${world.simulator.secret}`);
  for (const text of [listed, shown, JSON.stringify(data)]) expect(text).not.toMatch(secrets);
  expect(await cli.refusal("integrations list --all")).toMatch(/^usage: .*unknown option '--all'/);
  expect(await cli.refusal("integrations show svi_none")).toMatch(/^not_found: .*npx tartan integrations list/);
});

it("`tartan integrations update` changes the given options, and credentials that Plaid accepts, and leaves the rest", async () => {
  const options = ["--days-requested", "730", "--include-original-description", "--name", "Ours"];
  const made = await create(...options);
  expect(made).toMatchObject({ days_requested: 730, include_original_description: true, name: "Ours" });
  const update = `integrations update ${made.id}`;
  expect(await cli.json(`${update} --no-include-original-description`)).toMatchObject({
    days_requested: 730,
    include_original_description: false,
    name: "Ours",
  });
  expect(await cli.json(`${update} --days-requested default --revoked-data erase`)).toMatchObject({
    days_requested: null,
    revoked_data: "erase",
  });
  expect(await cli.refusal(`${update} --revoked-data sometimes`)).toMatch(/^invalid_request: .*must be keep or erase/);
  const newSecret = (secret: string) => cli.with({ PLAID_SECRET: secret });
  expect(await newSecret("wrong").refusal(`${update} --secret`)).toMatch(/^plaid_credentials_refused: /);
  expect(await newSecret(world.simulator.secret).json(`${update} --secret`)).toMatchObject({ id: made.id });
  expect(await cli.refusal(`${update} --client-id another`)).toMatch(/^invalid_request: .*PLAID_SECRET/);
  const said = await cli.text(`${update} --name Theirs --days-requested 90`);
  expect(said).toContain("✓ Theirs is changed");
  expect(said).toContain("Items whose transactions are already initialised keep the length of their history.");
  expect(await cli.json("integrations show", made.id)).toMatchObject({ name: "Theirs", days_requested: 90 });
  for (const days of ["731", "0", "many"]) {
    expect(await cli.refusal(`${update} --days-requested`, days)).toMatch(/^invalid_request: .*days_requested/);
  }
  expect(await cli.refusal(update)).toContain("No setting to change was given");
});

it("`tartan integrations update --reveal` and `--enable` replace the lists, and mask rows only with --yes", async () => {
  const made = await create("--reveal", "liabilities", "--name", "Revealing");
  const update = `integrations update ${made.id}`;
  expect(await cli.text("integrations show", made.id)).toMatch(/not masked\s+liabilities\n/);
  expect(await cli.refusal(`${update} --reveal auth`)).toMatch(
    /^invalid_request: .*this masks all stored rows of liabilities\. .*--yes/,
  );
  const replaced = await cli.text(`${update} --reveal auth --enable balances,processor_auth --yes`);
  expect(replaced).toContain("Masked in all stored rows: liabilities.");
  expect(replaced).toContain("No longer masked: auth. Tartan is reading it from Plaid.");
  expect(replaced).toContain("Requested from now on: processor_auth. Tartan is reading it from Plaid.");
  expect(replaced).toContain("Requested from now on, whenever you ask for it by name (`--resources`): balances.");
  const none = await cli.text(`${update} --reveal none --enable balances --yes`);
  expect(none).toContain("Masked in all stored rows: auth.");
  expect(none).toContain("No longer requested: processor_auth. The stored rows stay.");
  expect(await cli.json("integrations show", made.id)).toMatchObject({ revealed_resources: [], name: "Revealing" });
  expect(await cli.refusal(`${update} --reveal holdings`)).toMatch(/^invalid_request: .*revealed_resources/);
  expect(await cli.refusal(`${update} --enable transactions`)).toMatch(/^invalid_request: .*enabled_resources/);
});

it("`tartan integrations rotate-secret` replaces the webhook secret, with one of your own or a random one", async () => {
  const made = await create();
  const rotated = await cli.json<Made>("integrations rotate-secret", made.id);
  expect(rotated.webhook_secret).not.toBe(made.webhook_secret);
  const own = "a-secret-of-the-backend-itself";
  const said = await cli.text(`integrations rotate-secret ${made.id} --webhook-secret ${own}`);
  expect(said).toMatch(new RegExp(`the old one no longer works\\nwebhook secret\\s+${own}\\n`));
  expect(await cli.refusal(`integrations rotate-secret ${made.id} --webhook-secret short`)).toMatch(
    /^invalid_request: /,
  );
  expect(await cli.refusal("integrations rotate-secret svi_none")).toMatch(/^not_found: /);
});

it("`tartan integrations delete` deletes an integration only with --yes", async () => {
  const { id } = await create("--name", "Short-lived");
  const refused = await cli.refusal("integrations delete", id, "--purge");
  expect(refused).toMatch(
    /^invalid_request: .*This deletes the secrets and tokens of svi_\w+, its rows and its webhooks\. .*--yes/,
  );
  expect(await cli.json("integrations show", id)).toMatchObject({ id, name: "Short-lived" });
  expect(await cli.text("integrations delete", id, "--yes")).toContain(`${id} is deleted`);
  expect(await cli.refusal("integrations show", id)).toMatch(/^not_found: /);
});

it("`tartan integrations calls` counts the requests to Plaid that commands have sent, by endpoint", async () => {
  const { id } = await create();
  expect(await cli.text("integrations calls", id)).toContain("No request was sent in these days.");
  const [item] = world.integration.makeItems(1);
  if (!item) throw new Error("the simulator made no item");
  const linked = cli.with({ PLAID_ACCESS_TOKEN: item.access_token });
  expect((await linked.run(`items add ${item.item_id} --integration ${id}`)).code).toBe(0);
  const sent = { calls: 1, failures: 0, billed: 0 };
  expect(await cli.json("integrations calls", id)).toMatchObject({
    endpoints: [{ endpoint: "/item/get", ...sent }],
    total: sent,
  });
  expect(await cli.text("integrations calls", id)).toMatch(/\/item\/get\s+1\s+0\s+0\s+total\s+1\s+0\s+0/);
  expect(await cli.refusal(`integrations calls ${id} --from yesterday`)).toMatch(/^invalid_request: .*from/);
});

everyVerbIsRun(cli);
