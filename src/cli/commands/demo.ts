/**
 * `tartan demo`, which `npm start` runs: the whole pipeline without any account. The simulator plays Plaid, the demo links
 * a few items as a backend would, a small application receives the events, and the demo prints what happens until
 * Ctrl-C. The next demo continues in the same world (demo/world.ts).
 */
import { Command } from "commander";
import { readerUrl } from "../../lifecycle/reader.ts";
import type { WebhookRecord } from "../../model/records.ts";
import { openCore, type Core } from "../wiring/core.ts";
import { recordsOf } from "../wiring/engines.ts";
import type { DemoEvent } from "./demo/receiver.ts";
import { connectWorld, openWorld, startApplication } from "./demo/world.ts";
import { wholeNumber } from "../input/flags.ts";
import { followWebhooks } from "../output/webhook-log.ts";
import { bold, cyan, dim, green, say, short, yellow } from "../output/print.ts";
import { ROLES, serve } from "../wiring/serve.ts";
import { untilStopped } from "../wiring/signals.ts";

/** Slow enough to read, fast enough to see that something happens. */
const ACTIVITY_EVERY_MS = 4000;

/** Two minutes: a day is too long to see that Tartan finds what no webhook announced. */
const CHECKED_EVERY_H = 2 / 60;

interface DemoFlags {
  items: string;
  fresh?: true;
}

export function demoCommand(): Command {
  return new Command("demo")
    .description("run everything with a simulated Plaid; you need no account")
    .option("--items <count>", "how many items to link in a new world", wholeNumber(1, 10_000), "4")
    .option("--fresh", "delete the world of the last demo and begin a new one")
    .action(async (flags: DemoFlags) => {
      const anew = flags.fresh === true;
      await using core = await openCore(process.env, { as: "server", logLevel: "warn", anew });
      const stopped = untilStopped();
      // The demo's application is on this machine, to which deliveries may not go by default.
      const relayAllowedAddresses = [...core.config.relayAllowedAddresses, "127.0.0.1"];
      const reconcileHours = process.env["TARTAN_RECONCILE_H"] ? core.config.reconcileHours : CHECKED_EVERY_H;
      const config = { ...core.config, relayAllowedAddresses, relayAllowHttp: true, reconcileHours };
      await demo({ ...core, config }, flags, stopped);
    });
}

async function demo(core: Core, { items, fresh }: DemoFlags, stopped: Promise<unknown>): Promise<void> {
  const { config, database } = core;
  const world = await openWorld(core, fresh === true);
  const goesOn = world.integrationId !== null;
  const { url, newAdminKey } = await serve(core, ROLES);
  const story = openStory();
  await startApplication(core, story.event);
  const { integrationId, intake, begin } = await connectWorld(core, world, url);

  const sql = await readerUrl(database, core.databaseUrl, {});
  const key = newAdminKey ?? config.adminKey ?? null;
  greet({
    url,
    intake,
    key,
    simulator: world.simulator.url,
    sql,
    data: core.embedded ? config.dataDir : "TARTAN_DATABASE_URL",
    goesOn,
  });
  const stop = new AbortController();
  void stopped.then(() => stop.abort());
  const following = followWebhooks(recordsOf(core), {
    filter: { integration_id: integrationId },
    fromTheStart: !goesOn,
    signal: stop.signal,
    onWebhook: story.webhook,
  }).catch((error: unknown) => core.logger.error({ error }, "the live log of webhooks has ended; all else goes on"));
  await begin(Number(items));
  world.simulator.control.startActivity({ everyMs: ACTIVITY_EVERY_MS });
  await stopped;
  await world.simulator.control.stopActivity();
  await following;
}

/** Longer than the interval at which the webhook log polls. */
const PATIENCE_MS = 1000;

/**
 * Deliveries are faster than the webhook log, which polls. So the line about an event waits for the line about the webhook
 * that caused it.
 */
function openStory() {
  const waiting = new Map<DemoEvent, string>();
  const flush = (event: DemoEvent) => {
    const line = waiting.get(event);
    if (waiting.delete(event) && line !== undefined) say(line);
  };
  return {
    event: (event: DemoEvent) => {
      waiting.set(event, describeEvent(event));
      setTimeout(flush, PATIENCE_MS, event).unref();
    },
    webhook: (line: string, { subject }: WebhookRecord) => {
      say(line);
      for (const event of waiting.keys()) if (aboutOf(event) === subject?.id) flush(event);
    },
  };
}

/** The id of the item or other subject that an event is about. */
const aboutOf = ({ item_id, subject }: DemoEvent): string | null => item_id ?? subject?.id ?? null;

function describeEvent(event: DemoEvent): string {
  const { type, data, occurred_at } = event;
  const counts = Object.entries((data["counts"] ?? {}) as Record<string, number>);
  const rows = counts.reduce((all, [, count]) => all + count, 0);
  const what = rows === 0 ? type : `${type}, with ${rows === 1 ? "the row" : `the ${rows} rows`},`;
  const after = Math.max(0, Date.now() - Date.parse(occurred_at));
  return dim(
    `${" ".repeat(10)}╰ your application received: ${what} of ${short(aboutOf(event), 14)}, ✓ signed, after ${after} ms`,
  );
}

interface Greeting {
  url: string;
  intake: string;
  key: string | null;
  simulator: string;
  sql: string;
  /** where the data is */
  data: string;
  /** whether an earlier demo began this world */
  goesOn: boolean;
}

function greet({ url, intake, key, simulator, sql, data, goesOn }: Greeting): void {
  const row = (name: string, value: string) => say(`  ${dim(name.padEnd(10))}${value}`);
  say(`\n${bold("Tartan")} runs with a simulated Plaid. ${dim("Ctrl-C stops everything.")}\n`);
  row("API", `${cyan(`${url}/v1`)}   ${dim("reference")} ${cyan(`${url}/docs`)}`);
  row("API key", key ? yellow(key) : dim("shown at the first start; a new one: npx tartan keys reset"));
  row("webhooks", cyan(intake));
  row("relay", `${cyan("npx tartan deliveries list")}   ${dim("the events that a small application here receives")}`);
  row("items", `${cyan("npx tartan items list")}   ${dim("a consent that ends soon, an account to add")}`);
  row(
    "gaps",
    `${cyan("npx tartan gaps list")}   ${dim("one item has no webhook URL: checks find its changes, every two minutes;")}`,
  );
  row("", `${cyan("npx tartan items move-webhooks --to-intake")}   ${dim("gives it one")}`);
  row("Plaid", `${cyan(simulator)} ${dim("(the simulator)")}`);
  row("data", dim(data));
  row("SQL", cyan(`psql '${sql}'`));
  row("", dim("select name, balances_current from plaid.current_accounts;"));
  row("", dim("select date, amount, name from plaid.current_transactions order by date desc limit 10;"));
  row("", dim("select account, routing from plaid.current_auth_ach;  -- masked unless you reveal them"));
  row("", dim("select resource, sum(rows) from plaid.freshness group by 1;  -- what there is"));
  if (goesOn)
    say(`\n  ${dim("This continues the world of the last demo; for a new one:")} ${cyan("npx tartan demo --fresh")}`);
  say(`\n${green("●")} ${dim("webhooks as they arrive, and what they change")}\n`);
}
