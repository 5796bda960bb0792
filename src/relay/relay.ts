/**
 * The relay of one process. It starts what is in the folders of relay/ and connects it; they share no state but the tables.
 *
 *   events.outbox ──dispatch/──▶ relay.deliveries ──delivery/──▶ the receiver, relay.attempts ──▶ ledger/
 *                                        ▲
 *   relay.jobs ─────────jobs/────────────┘
 *
 * Each step begins with what is in the tables; a notification only saves waiting for the next poll. Several processes on one
 * database share the work.
 */
import { startWorkerLoop, type WorkerLoop } from "../database/worker-loop.ts";
import { SOME, type Gate, type GateOptions } from "../model/pressure.ts";
import { type DeliveryOptions, DeliveryWorkers } from "./delivery/delivery-workers.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { startJobs } from "./jobs/job-runner.ts";
import { startOverdueChecks } from "./ledger/overdue.ts";
import { BUSY } from "./queries.ts";

export type RelayOptions = DeliveryOptions;

export interface Relay extends AsyncDisposable {
  /**
   * Resolves when, in all processes together, no event waits for dispatch and no delivery is due at a destination to which Tartan
   * may send.
   */
  idle(): Promise<void>;
}

const IDLE_POLL_MS = 10;
/** While webhooks wait, dispatch and jobs rest three times as long as they worked, at most this long. */
const REST: Omit<GateOptions, "worker"> = { from: SOME, everyMs: 500, rest: 3 };

/** Starts the relay. Disposing finishes the attempts under way, or leaves the deliveries to other processes. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { database, clock } = options;
  const parts: AsyncDisposable[] = [];
  const dispose = async (): Promise<void> => {
    for (const part of parts.splice(0).toReversed()) await part[Symbol.asyncDispose]();
  };
  try {
    parts.push(await startJobs({ ...options, ...gateOf(options, "replays") }));
    parts.push(await startOverdueChecks(options));
    const workers = new DeliveryWorkers(options);
    parts.push(workers);
    await workers.start();
    parts.push(await startDispatching(options, workers));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    async idle() {
      for (;;) {
        const { rows } = await database.query<{ undispatched: number; due: number }>(BUSY);
        if (rows[0]?.undispatched === 0 && rows[0].due === 0) return;
        await clock.sleep(IDLE_POLL_MS);
      }
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** Dispatches events until it is disposed, and wakes the workers of this process for the new deliveries. */
async function startDispatching(options: RelayOptions, workers: DeliveryWorkers): Promise<WorkerLoop> {
  const { database, clock, logger, pollMs } = options;
  const dispatcher = new Dispatcher(database, workers.workerId);
  const work = async (): Promise<boolean> => {
    const { rows, created } = await dispatcher.dispatch();
    workers.onCreated(created);
    return rows > 0;
  };
  const trouble = "cannot dispatch events; trying again";
  const gate = gateOf(options, "dispatch");
  return await startWorkerLoop({
    database,
    clock,
    logger,
    channels: ["tartan_outbox"],
    pollMs,
    trouble,
    work,
    ...gate,
  });
}

const gateOf = ({ pressure }: RelayOptions, worker: string): { gate?: Gate } =>
  pressure ? { gate: pressure.gate({ ...REST, worker }) } : {};
