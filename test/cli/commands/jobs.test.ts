import { afterEach, beforeEach, expect, it } from "vitest";
import { createRedrive, getJob } from "../../../src/relay/jobs/jobs.ts";
import { startJobs } from "../../../src/relay/jobs/job-runner.ts";
import { createWebhookMove } from "../../../src/fleet/webhook-moves.ts";
import { createIntegration } from "../../../src/integrations/integrations.ts";
import { introduceItem } from "../../support/link.ts";
import { systemClock } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/logger.ts";
import { plantDeliveries } from "../../relay/support.ts";
import { whole, workAll } from "../../relay/past.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"relay" | "processes">;
beforeEach(async () => {
  world = await startWorld({ relay: {}, processes: {} });
});
afterEach(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("jobs", () => world.processes.env);

/** A job on two dead letters that nobody works on yet. */
async function job(reason = ""): Promise<string> {
  const { id } = await world.relay.destination({ url: "http://127.0.0.1:9" });
  await plantDeliveries(world, id, 2, "'dead', null, null");
  await world.database.query("update relay.deliveries set finished_at = now() where status = 'dead'");
  return whole(await createRedrive(world.database, { destination_id: id, reason })).id;
}

it("`tartan jobs list` and `show` print jobs with their progress, and --follow waits for the end", async () => {
  expect(await cli.text("jobs list")).toContain("There is no job yet: npx tartan dead-letters redrive");
  const first = await job("the database is back");
  const second = await job();
  const said = await cli.text("jobs list --limit 1");
  expect(said).toMatch(new RegExp(`${second}\\s+redrive\\s+running\\s+0/2\\s+0\\s`));
  expect(said).not.toContain(first);
  const cursor = /more: --cursor (\S+)/.exec(said)?.[1] ?? "";
  expect(await cli.json("jobs list --cursor", cursor)).toMatchObject({
    data: [{ id: first, total: 2 }],
    next_cursor: null,
  });
  expect(await cli.text("jobs list --kind backfill --status running")).toContain("No job matches");
  expect(await cli.refusal("jobs list --limit 0")).toMatch(/^usage: .*whole number from 1 to 500/);

  const shown = await cli.text("jobs show", first);
  expect(shown).toMatch(/status\s+running\nprogress\s+0 of 2, 0 scheduled\n[\s\S]*reason\s+the database is back/);
  {
    await using _jobs = await startJobs({
      database: world.database,
      clock: systemClock,
      logger: silentLogger,
      pollMs: 50,
    });
    expect(await cli.json("jobs show", first, "--follow")).toMatchObject({ id: first, status: "done", done: 2 });
  }
  expect(await cli.refusal("jobs show job_none")).toMatch(/^not_found: .*npx tartan jobs list/);
});

it("`tartan jobs pause`, `resume` and `cancel` change whether a job is worked on", async () => {
  const id = await job();
  expect(await cli.text("jobs pause", id)).toContain(`✓ ${id} is paused`);
  await workAll(world.database);
  expect(await getJob(world.database, id)).toMatchObject({ status: "paused", done: 0 });
  expect(await cli.refusal("jobs pause", id)).toMatch(
    /^conflict: .*is paused; only one that is running can become paused/,
  );

  expect(await cli.json("jobs resume", id)).toMatchObject({ id, status: "running" });
  expect(await cli.json("jobs pause", id)).toMatchObject({ id, status: "paused" });
  expect(await cli.text("jobs resume", id)).toContain(`✓ ${id} continues`);
  expect(await cli.refusal("jobs resume", id)).toMatch(/^conflict: .*only one that is paused can become running/);
  await workAll(world.database);
  expect(await cli.refusal("jobs cancel", id)).toMatch(
    /^conflict: .*is done; only one that is running or paused can become cancelled/,
  );

  const [one, other] = [await job(), await job()];
  expect(await cli.text("jobs cancel", one)).toContain(`✓ ${one} is cancelled`);
  expect(await cli.json("jobs cancel", other)).toMatchObject({ id: other, status: "cancelled", done: 0 });
  await workAll(world.database);
  expect(await getJob(world.database, one)).toMatchObject({ status: "cancelled", done: 0 });
});

it("`tartan jobs members` lists the items of a move of webhook URLs, and `retry` tries those that failed again", async () => {
  const { database, vault } = world;
  const { id: integration_id } = await createIntegration(database, vault, {
    client_id: "client",
    secret: "plaid-secret",
    environment: "sandbox",
    plaid_url: "http://127.0.0.1:9",
  });
  await introduceItem(world, { integration_id, item_id: "item-1", access_token: "access-1" });
  const by = { publicUrl: "https://tartan.example.com", by: { actor: "test" } };
  const made = await createWebhookMove(database, { to_intake: true }, by);
  const id = "id" in made ? made.id : "";
  expect(await cli.text("jobs members", id)).toMatch(/item-1\s+pending/);
  await database.query("update fleet.members set state = 'failed', phase = 'failed', cause = 'ITEM_NOT_FOUND'");
  expect(await cli.json("jobs members", id, "--state", "failed")).toMatchObject({
    data: [
      {
        item_id: "item-1",
        state: "failed",
        cause: "ITEM_NOT_FOUND",
        details: { to: by.publicUrl + `/v1/integrations/${integration_id}` },
      },
    ],
  });
  expect(await cli.refusal("jobs members", id, "--state", "moved")).toMatch(/^invalid_request: /);
  await database.query("update fleet.jobs set status = 'done', finished_at = now()");
  const followed = await cli.run("jobs show --follow", id);
  expect(followed.code, "an item failed").toBe(1);
  expect(followed.stdout).toMatch(/progress\s+1 of 1, 0 changed, 1 failed[\s\S]*ITEM_NOT_FOUND\s+1 item: /);
  expect(await cli.json("jobs retry", id)).toMatchObject({
    id,
    kind: "webhook_move",
    failed: 0,
    states: { pending: 1 },
  });
  expect(await cli.refusal("jobs retry", id)).toMatch(/^conflict: .*has no failed items/);
  await database.query("update fleet.members set state = 'failed', phase = 'failed', cause = 'ITEM_NOT_FOUND'");
  expect(await cli.text("jobs retry", id, "--cause", "ITEM_NOT_FOUND")).toContain(`✓ ${id} continues; 1 item to do`);
  expect(await cli.json("jobs pace", id, "60")).toMatchObject({ id, per_minute: 60 });
  expect(await cli.text("jobs pace", id, "1")).toContain(`✓ ${id} begins 1 item a minute`);
  expect(await cli.refusal("jobs pace", id, "fast")).toMatch(/^invalid_request: .*per_minute/s);
});

everyVerbIsRun(cli);
