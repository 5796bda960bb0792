/**
 * `tartan demo`, what `npm start` runs: the whole pipeline alive without an account anywhere. The simulator plays Plaid,
 * a few items are linked the way a backend would link them, a small application is told of what changes, and what happens
 * scrolls by until Ctrl-C. Everything of an earlier demo is purged first, since the simulator forgets its world when it
 * stops.
 */
import { randomUUID } from "node:crypto";
import { Command } from "commander";
import { readerUrl } from "../../database/reader.ts";
import {
  createIntegration,
  deleteIntegration,
  integrationUrl,
  listIntegrations,
} from "../../integrations/integrations.ts";
import type { WebhookRecord } from "../../journal/records.ts";
import { createDestination, deleteDestination, listDestinations } from "../../relay/destinations/destinations.ts";
import { createRoute } from "../../relay/routes/routes.ts";
import { newSecret } from "../../relay/http/signing.ts";
import { startSimulator, type Simulator } from "../../simulator/index.ts";
import { openCore, type Core } from "../core.ts";
import { startDemoReceiver, type ToldEvent } from "../demo-receiver.ts";
import { destinationDeps } from "../destination-flags.ts";
import { wholeNumber } from "../flags.ts";
import { feed } from "../feed.ts";
import { bold, cyan, dim, green, say, short, yellow } from "../print.ts";
import { ROLES, serve } from "../serve.ts";
import { untilStopped } from "../signals.ts";

const DEMO_NAME = "Demo (simulator)";
/** Calm enough to read, lively enough to see that it lives. */
const ACTIVITY_EVERY_MS = 4000;
/** What an application would want to know. */
const TOLD = ["item.linked", "item.error", "item.repaired", "item.removed", "transactions.changed"];

export function demoCommand(): Command {
  return new Command("demo")
    .description("everything alive at once, with a simulated Plaid; nothing to sign up for")
    .option("--items <count>", "how many items to link", wholeNumber(1, 10_000), "4")
    .action(async ({ items }: { items: string }) => {
      await using core = await openCore(process.env, { as: "server", logLevel: "warn" });
      const stopped = untilStopped();
      // The application that is told is on this machine, which deliveries are otherwise kept away from.
      const relayAllowedAddresses = [...core.config.relayAllowedAddresses, "127.0.0.1"];
      const config = { ...core.config, relayAllowedAddresses, relayAllowHttp: true };
      await demo({ ...core, config }, Number(items), stopped);
    });
}

async function demo(core: Core, count: number, stopped: Promise<unknown>): Promise<void> {
  const { closer, config, database, vault } = core;
  const simulator = closer.use(await startSimulator({ port: config.simulatorPort, seed: randomUUID() }));
  await purgeEarlierDemos(core);
  const { url, newAdminKey } = await serve(core, ROLES);
  const story = openStory();
  await startApplication(core, story.event);
  const integration = await createIntegration(database, vault, {
    name: DEMO_NAME,
    client_id: simulator.clientId,
    secret: simulator.secret,
    environment: "sandbox",
    plaid_url: simulator.url,
  });
  const intake = integrationUrl(url, integration.id);

  const sql = await readerUrl(database, core.databaseUrl, {});
  greet({ url, intake, key: newAdminKey ?? config.adminKey ?? null, simulator: simulator.url, sql });
  const stop = new AbortController();
  void stopped.then(() => stop.abort());
  const feeding = feed(database, {
    filter: { integration_id: integration.id },
    fromTheStart: true,
    signal: stop.signal,
    tell: story.webhook,
  });
  await linkItems(simulator, intake, integration.webhook_secret, count);
  simulator.control.startActivity({ everyMs: ACTIVITY_EVERY_MS });
  await stopped;
  await simulator.control.stopActivity();
  await feeding;
}

async function purgeEarlierDemos({ database }: Core): Promise<void> {
  for (const { id, name } of await listDestinations(database)) {
    if (name === DEMO_NAME) await deleteDestination(database, id);
  }
  for (const { id, name } of await listIntegrations(database)) {
    if (name === DEMO_NAME) await deleteIntegration(database, id, { purge: true });
  }
}

/** News of items and their transactions go to an application in this process. */
async function startApplication(core: Core, hear: (event: ToldEvent) => void): Promise<void> {
  const { secret } = newSecret("v1");
  const application = core.closer.use(await startDemoReceiver(secret, hear));
  const wish = { name: DEMO_NAME, url: application.url, signing_secret: secret };
  const { id } = await createDestination(destinationDeps(core), wish);
  await createRoute(core.database, { destination_id: id, filter: { types: TOLD } });
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

/** Does what the user's backend would: after the token exchange, tell Tartan of the item. */
async function linkItems(simulator: Simulator, intake: string, secret: string, count: number): Promise<void> {
  const { items } = await simulator.control.createItems({ count, transactions: 120, webhook: intake });
  for (const [index, { item_id, access_token }] of items.entries()) {
    const answer = await fetch(intake, {
      method: "POST",
      headers: { "content-type": "application/json", "tartan-webhook-secret": secret },
      body: JSON.stringify({
        webhook_type: "ITEM",
        webhook_code: "CREATED",
        item_id,
        access_token,
        user_id: `user-${index + 1}`,
      }),
    });
    if (!answer.ok) say(yellow(`item ${item_id} was not taken: ${answer.status}`));
  }
}

interface Greeting {
  url: string;
  intake: string;
  key: string | null;
  simulator: string;
  sql: string;
}

function greet({ url, intake, key, simulator, sql }: Greeting): void {
  const row = (name: string, value: string) => say(`  ${dim(name.padEnd(10))}${value}`);
  say(`\n${bold("Tartan")} is alive; a simulated Plaid feeds it. ${dim("Ctrl-C stops everything.")}\n`);
  row("API", `${cyan(`${url}/v1`)}   ${dim("reference")} ${cyan(`${url}/docs`)}`);
  row("API key", key ? yellow(key) : dim("shown at the first start; a new one: npx tartan keys reset"));
  row("webhooks", cyan(intake));
  row("relay", `${cyan("npx tartan deliveries list")}   ${dim("what a small application here is told")}`);
  row("Plaid", `${cyan(simulator)} ${dim("(the simulator)")}`);
  row("SQL", cyan(`psql '${sql}'`));
  row("", dim("select name, balances_current from plaid.current_accounts;"));
  row("", dim("select date, amount, name from plaid.current_transactions order by date desc limit 10;"));
  say(`\n${green("●")} ${dim("what arrives, and what it changes")}\n`);
}
