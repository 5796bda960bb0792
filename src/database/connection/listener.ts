/**
 * Listens for NOTIFY on all channels of a process over one connection of its own, opened with the first channel.
 *
 *   closed → connecting → listening → (connection lost) → connecting … → closed
 *
 * While it is connecting it misses notifications; that is allowed, since they only save latency. A heartbeat finds a
 * connection that was cut silently. A transaction-mode pooler passes no notifications on.
 */
import { Client, escapeIdentifier, type ClientConfig } from "pg";
import type { Logger } from "../../logger.ts";
import { drop, endClient, within } from "./exchange.ts";
import { CONNECT_MS } from "./limits.ts";

export interface Listener extends AsyncDisposable {
  /** Resolves once the first attempt to listen has succeeded or failed: a caller works without notifications too. */
  listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable>;
}

interface ListenerOptions {
  config: ClientConfig;
  /** the connection would use a pooler, which passes no notifications on */
  disabled: boolean;
  logger: Logger;
}

/** Finds a dead connection before polling alone has cost much. */
const HEARTBEAT_MS = 10_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** Every login may notify. Beyond this rate a notification saves no latency, since polling is as fast. */
const PASSED_PER_SECOND = 1_000;
const FLOOD_PER_SECOND = 5_000;
const QUIET_MS = 30_000;

class ReconnectingListener implements Listener {
  readonly #config: ClientConfig;
  readonly #logger: Logger;
  readonly #disabled: boolean;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #handlers = new Map<string, Set<(payload: string) => void>>();
  #client: Client | undefined;
  #connecting: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** the last statement; pg takes one at a time on a client */
  #sent: Promise<unknown> = Promise.resolve();
  #delay = FIRST_DELAY_MS;
  #closed = false;
  #second = 0;
  readonly #counts = new Map<string, number>();

  constructor({ config, disabled, logger }: ListenerOptions) {
    this.#config = config;
    this.#disabled = disabled;
    this.#heartbeat = setInterval(() => void this.#enqueue("select 1"), HEARTBEAT_MS).unref();
    this.#logger = logger;
  }

  async listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable> {
    if (this.#disabled) return { [Symbol.asyncDispose]: async () => undefined };
    const handlers = this.#handlers.get(channel) ?? new Set();
    this.#handlers.set(channel, handlers.add(onNotify));
    if (this.#client) await this.#enqueue(`listen ${escapeIdentifier(channel)}`);
    else await this.#connect();
    return { [Symbol.asyncDispose]: async () => this.#stop(channel, onNotify) };
  }

  async #stop(channel: string, onNotify: (payload: string) => void): Promise<void> {
    const handlers = this.#handlers.get(channel);
    if (!handlers?.delete(onNotify) || handlers.size > 0) return;
    this.#handlers.delete(channel);
    await this.#enqueue(`unlisten ${escapeIdentifier(channel)}`);
  }

  async #enqueue(statement: string): Promise<void> {
    // A failure here is the connection's; #lost reports it, and the next connection listens on every channel again.
    this.#sent = this.#sent.then(() => this.#send(statement)).catch(() => undefined);
    await this.#sent;
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
      if (this.#passes(client, channel)) this.#notify(channel, payload ?? "");
    });
    try {
      await client.connect();
      // A Map's iterator also yields the channels that are added while this waits.
      for (const channel of this.#handlers.keys()) {
        await within(client, CONNECT_MS, client.query(`listen ${escapeIdentifier(channel)}`));
      }
      this.#client = client;
      // A retry that #lost has planned would replace this connection and leave it open for ever.
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

  /** True while notifications are few. A flood would keep this process from its work, so it stops listening for a while. */
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
    return count <= PASSED_PER_SECOND;
  }

  #notify(channel: string, payload: string): void {
    for (const onNotify of this.#handlers.get(channel) ?? []) {
      try {
        onNotify(payload);
      } catch (error) {
        this.#logger.error({ err: error, channel }, "a handler of a notification failed");
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
