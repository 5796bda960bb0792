/**
 * The world of `tartan demo`: a simulated Plaid, one integration with a few items, and an application that receives events.
 * The demo keeps it in the data directory, so that the next demo continues where this one stopped, with its items, webhooks,
 * events and deliveries. Where no world was kept, or with --fresh, the demo purges everything of an earlier demo.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { TartanError } from "../../../errors.ts";
import { createIntegration, integrationUrl, listIntegrations } from "../../../integrations/integrations.ts";
import { deleteIntegration } from "../../../lifecycle/integrations.ts";
import { deleteDestination } from "../../../relay/delete-destination.ts";
import {
  createDestination,
  listDestinations,
  rotateSigningKey,
  updateDestination,
} from "../../../relay/destinations/destinations.ts";
import { createRoute } from "../../../relay/routing/routes.ts";
import { newSecret } from "../../../relay/senders/signing.ts";
import { startSimulator, type Simulator } from "../../../simulator/index.ts";
import type { Core } from "../../wiring/core.ts";
import { startDemoReceiver, type DemoEvent } from "./receiver.ts";
import { destinationDeps } from "../../wiring/destination-deps.ts";
import { say, yellow } from "../../output/print.ts";

export const DEMO_NAME = "Demo (simulator)";
/** The events that a typical application subscribes to. */
const NOTIFIED = [
  "item.linked",
  "item.error",
  "item.repaired",
  "item.consent_expiring",
  "item.new_accounts",
  "item.notice_cleared",
  "item.removed",
  "transactions.changed",
  "transfer_events.changed",
  "payments.changed",
];

/** Every product that the simulator has the data of and that Plaid does not bill by the request. */
const PRODUCTS = [
  "transactions",
  "auth",
  "identity",
  "investments",
  "liabilities",
  "statements",
  "recurring_transactions",
];

export interface DemoWorld {
  simulator: Simulator;
  /** the integration of an earlier demo; null in a new world */
  integrationId: string | null;
}

/** Starts the simulator in the world that an earlier demo kept, or in a new one. */
export async function openWorld(core: Core, fresh: boolean): Promise<DemoWorld> {
  const { config, database, closer } = core;
  await mkdir(config.dataDir, { recursive: true });
  const stateFile = join(config.dataDir, "demo-world");
  const earlier = (await listIntegrations(database)).filter(({ name }) => name === DEMO_NAME);
  const [integration] = earlier;
  if (!fresh && integration && earlier.length === 1 && existsSync(stateFile)) {
    // The integration's plaid_url has this port.
    const port = Number(new URL(integration.plaid_url).port);
    const simulator = await startSimulator({ port, stateFile }).catch((error: unknown) => {
      throw withRemedy(error);
    });
    return { simulator: closer.use(simulator), integrationId: integration.id };
  }
  await rm(stateFile, { force: true });
  const world = { port: config.simulatorPort, seed: randomUUID(), stateFile };
  const simulator = closer.use(await startSimulator(world));
  await purgeEarlierDemos(core);
  return { simulator, integrationId: null };
}

/** Adds the command that helps when the world's file cannot be read. */
function withRemedy(error: unknown): unknown {
  if (!(error instanceof TartanError) || error.code !== "simulator_invalid_request") return error;
  const message = `${error.message} To delete this world and begin a new one, run: npx tartan demo --fresh`;
  return new TartanError(error.code, message, { cause: error });
}

async function purgeEarlierDemos({ database }: Core): Promise<void> {
  for (const { id, name } of await listDestinations(database)) {
    if (name === DEMO_NAME) await deleteDestination(database, id);
  }
  for (const { id, name } of await listIntegrations(database)) {
    if (name === DEMO_NAME) await deleteIntegration(database, id, { purge: true });
  }
}

/** Sends events to an application in this process, which verifies the signatures. */
export async function startApplication(core: Core, onEvent: (event: DemoEvent) => void): Promise<void> {
  const { secret } = newSecret("v1");
  const { url } = core.closer.use(await startDemoReceiver(secret, onEvent));
  const deps = destinationDeps(core);
  const earlier = (await listDestinations(core.database)).find(({ name }) => name === DEMO_NAME);
  if (earlier) {
    await rotateSigningKey(deps, earlier.id, { secret, grace_s: 0 });
    await updateDestination(deps, earlier.id, { url });
    return;
  }
  const { id } = await createDestination(deps, { name: DEMO_NAME, url, signing_secret: secret });
  await createRoute(core.database, { destination_id: id, filter: { types: NOTIFIED } });
}

export interface Connected {
  integrationId: string;
  /** the intake URL to which the simulator sends webhooks */
  intake: string;
  /** Links `count` items in a new world, and makes a payment and a transfer; in a continued one, sets their webhook URL to this Tartan. */
  begin(count: number): Promise<void>;
}

/** Connects the world with the Tartan that listens at `url`. */
export async function connectWorld(core: Core, world: DemoWorld, url: string): Promise<Connected> {
  const { simulator, integrationId } = world;
  if (integrationId !== null) {
    const intake = integrationUrl(url, integrationId);
    return { integrationId, intake, begin: () => moveWebhooks(simulator, intake) };
  }
  const made = await createIntegration(core.database, core.vault, {
    name: DEMO_NAME,
    client_id: simulator.clientId,
    secret: simulator.secret,
    environment: "sandbox",
    plaid_url: simulator.url,
  });
  const intake = integrationUrl(url, made.id);
  const begin = async (count: number): Promise<void> => {
    await linkItems(simulator, intake, made.webhook_secret, count);
    moveMoney(simulator, intake);
  };
  return { integrationId: made.id, intake, begin };
}

/** From so many items on, one has a consent that ends soon, one an account to add, and one no webhook URL at Plaid. */
const SOME = 4;
const CONSENT_ENDS_S = 5 * 86_400;

/** Acts as the user's backend: after the token exchange it posts the item to Tartan. */
async function linkItems(simulator: Simulator, intake: string, secret: string, count: number): Promise<void> {
  const { control } = simulator;
  const made = { transactions: 120, products: PRODUCTS };
  const silent = count < SOME ? 0 : 1;
  const { items } = control.createItems({ ...made, count: count - silent, webhook: intake });
  if (silent > 0) items.push(...control.createItems({ ...made, count: silent }).items);
  for (const [index, { item_id, access_token }] of items.entries()) {
    const user_id = `user-${index + 1}`;
    const answer = await post(
      intake,
      { "tartan-webhook-secret": secret },
      {
        webhook_type: "ITEM",
        webhook_code: "CREATED",
        item_id,
        access_token,
        user_id,
      },
    );
    if (!answer.ok) say(yellow(`item ${item_id} was not accepted: ${answer.status}`));
  }
  const [, second, third] = items;
  if (silent === 0 || !second || !third) return;
  control.limitConsent(second.item_id, { ends_in_s: CONSENT_ENDS_S });
  control.addAccount(third.item_id, { shared: false });
}

/** A payment and a transfer, which belong to no item: Plaid's webhooks about them make them known. */
function moveMoney(simulator: Simulator, intake: string): void {
  sendClientWebhooksTo(simulator, intake);
  simulator.control.records.create("payment");
  simulator.control.records.create("transfer");
}

const sendClientWebhooksTo = ({ control, clientId: client_id, secret }: Simulator, webhook: string): void =>
  void control.addClient({ client_id, secret, webhook });

async function moveWebhooks(simulator: Simulator, intake: string): Promise<void> {
  const { clientId: client_id, secret, url, control } = simulator;
  sendClientWebhooksTo(simulator, intake);
  for (const { item_id, access_token, webhook, removed, revoked } of control.items().items) {
    // An item without a webhook URL keeps none: `tartan items move-webhooks` gives it one.
    if (removed === true || revoked === true || webhook === null) continue;
    if (webhook !== intake) {
      await post(`${url}/item/webhook/update`, {}, { client_id, secret, access_token, webhook: intake });
    }
    // The simulator does not resend webhooks of the last demo; this one makes sync read the item again.
    control.sendWebhook({
      item_id: String(item_id),
      webhook_type: "TRANSACTIONS",
      webhook_code: "SYNC_UPDATES_AVAILABLE",
    });
  }
}

const post = (url: string, headers: Record<string, string>, body: object): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
