/**
 * The owner of the embedded server keeps a session open, and starts the server again on its port when that session ends
 * because the server died.
 *
 *   starting → watching → (session lost) → restarting → watching … → released
 *
 * The lock of the data directory (data-dir-locks.ts) decides which process is the owner, and not a lock in the server: any
 * role that may log in to the server can take a lock inside it. The owner stops the server before it releases the lock, so
 * that no process takes over a server that is about to stop.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { clientConfig } from "../database/connection/client-config.ts";
import { endClient } from "../database/connection/exchange.ts";
import { translateFailure } from "../database/failures.ts";
import { askToStop, stopPostmaster } from "./postmaster.ts";
import type { RunningServer } from "./server.ts";

interface KeeperOptions {
  urlAt: (port: number) => string;
  /** finds or starts the server; on this port, if one is given. `onSpawn` gets the process id before it is ready. */
  ensure: (options: { port?: number; signal: AbortSignal; onSpawn: (pid: number) => void }) => Promise<RunningServer>;
  /** the folder of the cluster */
  cluster: string;
  logger: Logger;
}

/** A server found while it stops is waited for and started anew. */
const START_MS = 60_000;
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MAX_MS = 10_000;

export class ServerKeeper implements AsyncDisposable {
  port = 0;
  #pid = 0;
  readonly #options: KeeperOptions;
  #client: Client | undefined;
  #restarting: Promise<void> | undefined;
  readonly #released = new AbortController();
  /** A process that ends without disposing, by an error or a second Ctrl-C, must not leave its server behind. */
  readonly #atExit = () => askToStop(this.#options.cluster, this.#pid);

  constructor(options: KeeperOptions) {
    this.#options = options;
    process.once("exit", this.#atExit);
  }

  /** @throws TartanError `database_unavailable`, `data_dir_in_use`; the reason of `signal` when that aborts first */
  async start(signal: AbortSignal): Promise<void> {
    for (const end = Date.now() + START_MS; ; await delay(RESTART_DELAY_MS)) {
      signal.throwIfAborted();
      await this.#ensure(signal);
      try {
        await this.#watch();
        return;
      } catch (error) {
        const passing = error instanceof TartanError && error.code === "database_unavailable" && !isRefusal(error);
        if (!passing || Date.now() > end) throw error;
      }
    }
  }

  async #ensure(signal: AbortSignal): Promise<void> {
    const onSpawn = (pid: number) => (this.#pid = pid);
    const port = this.port === 0 ? {} : { port: this.port };
    const server = await this.#options.ensure({ ...port, signal, onSpawn });
    this.port = server.port;
    this.#pid = server.pid;
  }

  async #watch(): Promise<void> {
    const url = this.#options.urlAt(this.port);
    const client = new Client(clientConfig({ url, applicationName: `tartan owner, process ${process.pid}` }));
    client.on("error", () => this.#lost(client));
    client.on("end", () => this.#lost(client));
    try {
      await client.connect();
      this.#client = client;
    } catch (error) {
      await endClient(client);
      throw translateFailure(error);
    }
  }

  #lost(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    if (this.#released.signal.aborted) return;
    this.#options.logger.warn("the embedded Postgres ended the owner's session; starting it again");
    // A session that is lost while the loop ends must not begin a second one: two would start a server each.
    this.#restarting = (this.#restarting ?? Promise.resolve()).then(() => this.#restart());
  }

  async #restart(): Promise<void> {
    const { logger } = this.#options;
    const { signal } = this.#released;
    for (
      let wait = RESTART_DELAY_MS;
      !signal.aborted && !this.#client;
      wait = Math.min(wait * 2, RESTART_DELAY_MAX_MS)
    ) {
      try {
        await this.#ensure(signal);
        await this.#watch();
        logger.info({ port: this.port }, "the embedded Postgres is back");
      } catch (error) {
        if (signal.aborted) return;
        logger.error({ err: error }, "the embedded Postgres is not back yet");
        await delay(wait, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Stops the server (fast shutdown). */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released.signal.aborted) return;
    this.#released.abort();
    await this.#restarting;
    await stopPostmaster(this.#options.cluster);
    if (this.#client) await endClient(this.#client);
    process.off("exit", this.#atExit);
  }
}

/** The server answers and rejects the login; waiting does not fix that. */
function isRefusal({ cause }: TartanError): boolean {
  return String((cause as { code?: unknown } | undefined)?.code).startsWith("28");
}
