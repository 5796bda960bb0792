/**
 * `tartan demo`, what `npm start` runs: the whole pipeline alive without an account anywhere. The simulator plays Plaid,
 * a few items are linked the way a backend would link them, a small application is notified of what changes, and what
 * happens scrolls by until Ctrl-C. The next demo goes on in the same world (demo-world.ts).
 */
import { Command } from "commander";
import { readerUrl } from "../../database/reader.ts";
import type { WebhookRecord } from "../../model/records.ts";
import { openCore, type Core } from "../core.ts";
import type { ToldEvent } from "../demo-receiver.ts";
import { connectWorld, openWorld, startApplication } from "../demo-world.ts";
import { wholeNumber } from "../flags.ts";
import { feed } from "../feed.ts";
import { bold, cyan, dim, green, say, short, yellow } from "../print.ts";
import { ROLES, serve } from "../serve.ts";
import { untilStopped } from "../signals.ts";

/** Calm enough to read, lively enough to see that it lives. */
const ACTIVITY_EVERY_MS = 4000;

interface DemoFlags {
  items: string;
  fresh?: true;
}

export function demoCommand(): Command {
  return new Command("demo")
    .description("everything alive at once, with a simulated Plaid; nothing to sign up for")
    .option("--items <count>", "how many items to link in a new world", wholeNumber(1, 10_000), "4")
    .option("--fresh", "forget the world of the last demo and begin a new one")
    .action(async (flags: DemoFlags) => {
      const anew = flags.fresh === true;
      await using core = await openCore(process.env, { as: "server", logLevel: "warn", anew });
      const stopped = untilStopped();
      // The application that is notified is on this machine, which deliveries are otherwise kept away from.
      const relayAllowedAddresses = [...core.config.relayAllowedAddresses, "127.0.0.1"];
      const config = { ...core.config, relayAllowedAddresses, relayAllowHttp: true };
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
  const feeding = feed(database, {
    filter: { integration_id: integrationId },
    fromTheStart: !goesOn,
    signal: stop.signal,
    tell: story.webhook,
  });
  await begin(Number(items));
  world.simulator.control.startActivity({ everyMs: ACTIVITY_EVERY_MS });
  await stopped;
  await world.simulator.control.stopActivity();
  await feeding;
}

/** Longer than the feed looks between webhooks. */
const PATIENCE_MS = 1000;

/**
 * Deliveries are quicker than the feed, which looks from time to time; so what the application was told waits for the line
 * about the webhook that led to it.
 */
function openStory() {
  const waiting = new Map<ToldEvent, string>();
  const flush = (event: ToldEvent) => {
    const line = waiting.get(event);
    if (waiting.delete(event) && line !== undefined) say(line);
  };
  return {
    event: (event: ToldEvent) => {
      waiting.set(event, describeTold(event));
      setTimeout(flush, PATIENCE_MS, event).unref();
    },
    webhook: (line: string, { item_id }: WebhookRecord) => {
      say(line);
      for (const event of waiting.keys()) if (event.item_id === item_id) flush(event);
    },
  };
}

function describeTold({ type, item_id, data, occurred_at }: ToldEvent): string {
  const counts = Object.entries((data["counts"] ?? {}) as Record<string, number>);
  const rows = counts.reduce((all, [, count]) => all + count, 0);
  const what = rows > 0 ? `${type}, with the ${rows} rows,` : type;
  const after = Math.max(0, Date.now() - Date.parse(occurred_at));
  return dim(
    `${" ".repeat(10)}╰ your application was told: ${what} of ${short(item_id, 14)}, ✓ signed, after ${after} ms`,
  );
}

interface Greeting {
  url: string;
  intake: string;
  key: string | null;
  simulator: string;
  sql: string;
  /** where everything is kept */
  data: string;
  /** whether an earlier demo began this world */
  goesOn: boolean;
}

function greet({ url, intake, key, simulator, sql, data, goesOn }: Greeting): void {
  const row = (name: string, value: string) => say(`  ${dim(name.padEnd(10))}${value}`);
  say(`\n${bold("Tartan")} is alive; a simulated Plaid feeds it. ${dim("Ctrl-C stops everything.")}\n`);
  row("API", `${cyan(`${url}/v1`)}   ${dim("reference")} ${cyan(`${url}/docs`)}`);
  row("API key", key ? yellow(key) : dim("shown at the first start; a new one: npx tartan keys reset"));
  row("webhooks", cyan(intake));
  row("relay", `${cyan("npx tartan deliveries list")}   ${dim("what a small application here is told")}`);
  row("Plaid", `${cyan(simulator)} ${dim("(the simulator)")}`);
  row("data", dim(data));
  row("SQL", cyan(`psql '${sql}'`));
  row("", dim("select name, balances_current from plaid.current_accounts;"));
  row("", dim("select date, amount, name from plaid.current_transactions order by date desc limit 10;"));
  if (goesOn) say(`\n  ${dim("The world of the last demo goes on; a new one:")} ${cyan("npx tartan demo --fresh")}`);
  say(`\n${green("●")} ${dim("what arrives, and what it changes")}\n`);
}
