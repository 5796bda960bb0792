/**
 * An offline Plaid: the part of Plaid's Sandbox that Items, accounts and transactions need, with signed webhooks, on a
 * port of this machine. For your own tests: `import { startSimulator } from "tartan-server/simulator"`. See docs/simulator.md.
 */
import type { AddressInfo } from "node:net";
import { systemClock, type Clock } from "../clock.ts";
import { Control } from "./control/control.ts";
import { listen, type AnsweredRequest } from "./server.ts";
import { Simulation, type ExtractionOptions } from "./simulation.ts";
import { restoreSnapshot, seedOf } from "./snapshot.ts";
import { keepState, readState } from "./state-file.ts";
import type { WebhookSenderOptions } from "./webhooks/webhook-sender.ts";
import type { SentWebhook } from "./webhooks/log.ts";
import type { Client } from "./world.ts";

export type { Control } from "./control/control.ts";
export type { BookChange, BookInput } from "./control/books.ts";
export type { ChangeResult } from "./control/results.ts";
export type { SignedWebhook } from "./control/webhooks.ts";
export type { FaultInput, FaultKind, ActiveFault } from "./faults.ts";
export type { BookName } from "./products/index.ts";
export type { NewRecords, RecordBrief, RecordChange, RecordTruth } from "./control/records.ts";
export type { RecordKind } from "./records/index.ts";
export type { AnsweredRequest } from "./server.ts";
export type { Attempt, SentFilter, SentStatus, SentWebhook } from "./webhooks/log.ts";
export type { Client } from "./world.ts";
export { frozenClock } from "./time.ts";

export interface SimulatorOptions {
  /** 0 (default): a free one */
  port?: number;
  /** 127.0.0.1 */
  host?: string;
  /** the world; the same seed gives the same ids, accounts, transactions and keys */
  seed?: string | number;
  /** the base of the simulator's clock, which `control.advanceClock` moves on; default: the system's */
  clock?: Clock;
  clientId?: string;
  secret?: string;
  /** where the first client's webhooks go that are about no Item, such as those of payments */
  webhook?: string;
  /** false: Plaid's beta endpoints (/beta/…) are not enabled for the first client; default: true */
  beta?: boolean;
  /** further clients */
  clients?: readonly Client[];
  /** true (default): Plaid's Sandbox limits; a number: that many times as much; false: none */
  rateLimits?: boolean | number;
  /** when a freshly linked Item's history arrives, and how long a refresh takes */
  extraction?: Partial<ExtractionOptions>;
  webhooks?: Partial<Omit<WebhookSenderOptions, "concurrency">>;
  /** webhook attempts in flight at once (32) */
  concurrency?: number;
  /** Items need a new login after so many days, as Sandbox Items do after 30; absent: never */
  loginExpiresAfterDays?: number;
  /**
   * A file that keeps the world: read at the start if it exists (its seed counts then), written while the world changes. It does
   * not hold pending work, such as webhooks that wait for a retry.
   */
  stateFile?: string;
  /** called after each webhook attempt */
  onWebhook?: (webhook: SentWebhook) => void;
  /** called after each answer */
  onRequest?: (request: AnsweredRequest) => void;
  /** called for an error of the simulator itself */
  onError?: (error: unknown) => void;
}

export interface Simulator extends AsyncDisposable {
  /** the base path for a Plaid client, without a trailing slash */
  url: string;
  port: number;
  clientId: string;
  secret: string;
  control: Control;
  /** the simulator's time */
  clock: Clock;
}

const EXTRACTION: ExtractionOptions = { initialMs: 1000, historicalMs: 3000, refreshMs: 500 };
const SENDER: WebhookSenderOptions = {
  concurrency: 32,
  timeoutMs: 10_000,
  retry: true,
  resign: true,
  iatClock: "base",
  keep: 50_000,
};

/** Starts a simulator. Throws TartanError `simulator_port_in_use`. Dispose it to stop it. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, clientId = "simulator_client", secret = "simulator_secret" } = options;
  const state = options.stateFile === undefined ? null : readState(options.stateFile);
  const seed = state === null ? {} : { seed: seedOf(state, options.stateFile ?? "") };
  const sim = new Simulation(
    simulationOptions({ ...options, ...seed }, { clientId, secret, webhook: options.webhook, beta: options.beta }),
  );
  if (state !== null) restoreSnapshot(sim, state);
  const control = new Control(sim);
  const server = await listen({ sim, control, onRequest: options.onRequest }, host, port).catch(
    async (error: unknown) => {
      await sim.close();
      throw error;
    },
  );
  const bound = (server.address() as AddressInfo).port;
  const kept = options.stateFile === undefined ? null : await keepState(sim, options.stateFile);
  const stop = async () => {
    control.stopActivity();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await sim.close();
    await kept?.[Symbol.asyncDispose]();
  };
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    clientId,
    secret,
    control,
    clock: sim.time,
    [Symbol.asyncDispose]: stop,
  };
}

const simulationOptions = (options: SimulatorOptions, client: Client) => ({
  seed: String(options.seed ?? "tartan"),
  clock: options.clock ?? systemClock,
  clients: [client, ...(options.clients ?? [])],
  rateLimitScale: Number(options.rateLimits ?? true),
  extraction: { ...EXTRACTION, ...options.extraction },
  webhooks: { ...SENDER, ...options.webhooks, concurrency: options.concurrency ?? SENDER.concurrency },
  loginExpiresAfterDays: options.loginExpiresAfterDays ?? null,
  onWebhook: options.onWebhook,
  onError: options.onError,
});
