/**
 * Hears NOTIFY for all channels of a process on one connection of its own, opened with the first channel.
 *
 *   closed → connecting → listening → (connection lost) → connecting … → closed
 *
 * While it is connecting notifications are missed; that is allowed, since they only ever save latency. A connection that
 * was cut in silence is found by a heartbeat. Through a transaction-mode pooler nothing can be heard at all.
 */
import { Client, escapeIdentifier, type ClientConfig } from "pg";
import type { Logger } from "../logger.ts";
import { drop, endClient, within } from "./exchange.ts";
import { CONNECT_MS } from "./limits.ts";

export interface Listener extends AsyncDisposable {
  /** Resolves once the first attempt to listen has ended, well or not: listening is never a reason to fail. */
  listen(channel: string, hear: (payload: string) => void): Promise<AsyncDisposable>;
}

interface ListenerOptions {
  config: ClientConfig;
  /** the connection would lead through a pooler, which forgets who listens */
  disabled: boolean;
  logger: Logger;
}

/** Finds a dead connection before polling alone has cost much. */
const HEARTBEAT_MS = 10_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** Anybody who may connect may notify. More than this in a second is no hint any more, and polling does as well. */
const HEARD_PER_SECOND = 1_000;
const FLOOD_PER_SECOND = 5_000;
const QUIET_MS = 30_000;

class ReconnectingListener implements Listener {
  readonly #config: ClientConfig;
  readonly #logger: Logger;
  readonly #disabled: boolean;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #ears = new Map<string, Set<(payload: string) => void>>();
  #client: Client | undefined;
  #connecting: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** the last statement; pg wants one at a time on a client */
  #said: Promise<unknown> = Promise.resolve();
  #delay = FIRST_DELAY_MS;
  #closed = false;
  #second = 0;
  readonly #counts = new Map<string, number>();

  constructor({ config, disabled, logger }: ListenerOptions) {
    this.#config = config;
    this.#disabled = disabled;
    this.#heartbeat = setInterval(() => void this.#tell("select 1"), HEARTBEAT_MS).unref();
    this.#logger = logger;
  }

  async listen(channel: string, hear: (payload: string) => void): Promise<AsyncDisposable> {
    if (this.#disabled) return { [Symbol.asyncDispose]: async () => undefined };
    const ears = this.#ears.get(channel) ?? new Set();
    this.#ears.set(channel, ears.add(hear));
    if (this.#client) await this.#tell(`listen ${escapeIdentifier(channel)}`);
    else await this.#connect();
    return { [Symbol.asyncDispose]: async () => this.#stop(channel, hear) };
  }

  async #stop(channel: string, hear: (payload: string) => void): Promise<void> {
    const ears = this.#ears.get(channel);
    if (!ears?.delete(hear) || ears.size > 0) return;
    this.#ears.delete(channel);
    await this.#tell(`unlisten ${escapeIdentifier(channel)}`);
  }

  async #tell(statement: string): Promise<void> {
    // A failure here is the connection's, which reports itself and listens anew to everything.
    this.#said = this.#said.then(() => this.#send(statement)).catch(() => undefined);
    await this.#said;
  }

  async #send(statement: string): Promise<void> {
    const client = this.#client;
    if (client) await within(client, CONNECT_MS, client.query(statement));
  }

  async #connect(): Promise<void> {
    if (this.#closed || this.#client) return;
    this.#connecting ??= this.#attempt().finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
  }

  async #attempt(): Promise<void> {
    const client = new Client(this.#config);
    client.on("error", (error) => this.#lost(client, error));
    client.on("end", () => this.#lost(client));
    client.on("notification", ({ channel, payload }) => {
      if (this.#passes(client, channel)) this.#hear(channel, payload ?? "");
    });
    try {
      await client.connect();
      // A Map's iterator also yields the channels that are added while this waits.
      for (const channel of this.#ears.keys()) {
        await within(client, CONNECT_MS, client.query(`listen ${escapeIdentifier(channel)}`));
      }
      this.#client = client;
      // The attempt that a loss has planned would replace this connection and leave it open for ever.
      clearTimeout(this.#retry);
      this.#retry = undefined;
      this.#delay = FIRST_DELAY_MS;
    } catch (error) {
      this.#lost(client, error);
      drop(client, "it could not listen");
    }
  }

  /** Called for a failed attempt and for a lost connection, perhaps by several events of the same loss. */
  #lost(client: Client, error?: unknown): void {
    if (this.#client === client) this.#client = undefined;
    if (this.#client || this.#closed || this.#retry) return;
    this.#logger.warn({ err: error, retryMs: this.#delay }, "not listening for notifications; polling goes on");
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void this.#connect();
    }, this.#delay);
    this.#retry.unref();
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY_MS);
  }

  /** Whether a notification is still one of few. A flood would keep this process from its work: it stops listening. */
  #passes(client: Client, channel: string): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) this.#counts.clear();
    this.#second = second;
    const count = (this.#counts.get(channel) ?? 0) + 1;
    this.#counts.set(channel, count);
    if (count === FLOOD_PER_SECOND) {
      this.#logger.warn({ channel, quietMs: QUIET_MS }, "too many notifications");
      this.#delay = QUIET_MS;
      drop(client, "too many notifications came");
    }
    return count <= HEARD_PER_SECOND;
  }

  #hear(channel: string, payload: string): void {
    for (const hear of this.#ears.get(channel) ?? []) {
      try {
        hear(payload);
      } catch (error) {
        this.#logger.error({ err: error, channel }, "whoever heard a notification failed");
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    await this.#connecting;
    const client = this.#client;
    this.#client = undefined;
    if (client) await endClient(client);
  }
}

export const openListener = (options: ListenerOptions): Listener => new ReconnectingListener(options);
