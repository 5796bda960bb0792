import { afterAll, beforeAll, expect, it } from "vitest";
import { createIntegration } from "../../../src/integrations/integrations.ts";
import { settle } from "../../relay/past.ts";
import { plantDeliveries } from "../../relay/support.ts";
import { CommandLine, everyVerbIsRun, UNREACHABLE } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"relay">;
beforeAll(async () => {
  world = await startWorld({ relay: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("status", () => ({
  TARTAN_DATABASE_URL: world.databaseUrl,
  TARTAN_MASTER_KEY: world.masterKey,
}));

it("`tartan status` says that nothing waits and how to start a process where there is none", async () => {
  const said = await cli.text("status");
  expect(said).toMatch(/processes\s+no process runs: start one with `npx tartan up`/);
  expect(said).toMatch(/due\s+nothing waits/);
  expect(said).toMatch(/deliveries\s+nothing waits/);
  expect(said).toMatch(/destinations\s+none/);
});

it("`tartan status` counts what waits, lists the destinations that receive nothing, and says whether Plaid lists its webhooks", async () => {
  const { id } = await world.relay.destination(
    { url: "http://127.0.0.1:9" },
    { name: "Ledger", paused_at: new Date() },
  );
  await world.relay.destination(
    { url: "http://127.0.0.1:9" },
    { name: "Books", disabled_at: new Date(), disabled_reason: "by_hand" },
  );
  await plantDeliveries(world, id, 3);
  await settle(world.database, "dead", { cause: "timeout", where: "seq = (select max(seq) from relay.deliveries)" });
  await world.relay.webhooks("item-1", "item-2");
  for (const state of ["available", "unavailable"]) {
    const client = { client_id: state, secret: "secret", environment: "sandbox" } as const;
    const { id: list } = await createIntegration(world.database, world.vault, client);
    await world.database.query("insert into silence.sent_lists values ($1, $2, now())", [list, state]);
  }
  const said = await cli.text("status");
  expect(said).toMatch(/not marked\s+2 webhooks/);
  expect(said).toMatch(/destinations\s+1 paused, 1 disabled/);
  expect(said).toMatch(
    /Plaid's lists\s+open to 1 integration: npx tartan webhooks sent, not open to 1 integration; asked once a day/,
  );
  expect(said).toMatch(/deliveries\s+2 held, 1 dead/);
  expect(said).toMatch(/destination\s+state\s+since[\s\S]*Ledger \S+\s+paused[\s\S]*Books \S+\s+disabled by_hand/);
  expect(await cli.json("status")).toMatchObject({
    integrations: 2,
    due: 0,
    unmarked: 2,
    relay: {
      held: 2,
      dead: 1,
      destinations: { active: 0, paused: 1, disabled: 1 },
      unhealthy: [
        { id, status: "paused" },
        { name: "Books", status: "disabled" },
      ],
    },
    processes: [],
  });
});

it("`tartan status` says that the database does not answer", async () => {
  expect(await cli.with(UNREACHABLE).refusal("status")).toMatch(/^database_unavailable: /);
});

everyVerbIsRun(cli);
