/**
 * Finds connections that were cut silently. For statements that take longer than a few seconds it asks Postgres, over a new
 * connection, whether it is working on them. A server that is not, or that cannot be reached either, will not answer: the
 * watch drops the connection long before the statement's own limit. A server or pooler that accepts the new connection and
 * does not answer in time may be busy, so the watch drops nothing then.
 */
import { Client, type ClientBase, type ClientConfig } from "pg";
import { CONNECT_MS } from "./limits.ts";
import { drop, endClient, socketOf, within } from "./exchange.ts";
import { codeOf, isUnreachable } from "../failures.ts";

const CHECK_EVERY_MS = 1_000;
const SUSPECT_AFTER_MS = 3_000;
/** An answer that is on its way looks like a missing one, but only at one check. */
const SUSPICIONS = 2;

interface WatchedStatement {
  pid: number;
  since: number;
  bytesRead: number;
  suspicions: number;
  /** statements that were sent and have no answer yet */
  sent: number;
}

/** A backend waits for its client when it has answered, or cannot send its answer. A hidden state proves nothing. */
const BACKENDS = `
  select pid, coalesce(state like 'idle%' or wait_event = 'ClientWrite', false) as waits
  from pg_stat_activity where pid = any ($1)`;

/** The server's name could not be resolved, which proves nothing about existing connections. */
const UNRESOLVED = new Set(["ENOTFOUND", "EAI_AGAIN"]);

export class Watch implements Disposable {
  readonly #configs: readonly ClientConfig[];
  readonly #onDrop: () => void;
  readonly #waiting = new Map<ClientBase, WatchedStatement>();
  readonly #timer: NodeJS.Timeout;
  #checking = false;

  /** @param configs how to reach the server, the best way first: past a pooler, then as the statements themselves do */
  constructor(configs: readonly ClientConfig[], onDrop: () => void) {
    this.#configs = configs;
    this.#onDrop = onDrop;
    this.#timer = setInterval(() => void this.#check(), CHECK_EVERY_MS).unref();
  }

  /**
   * @param pid the server process that works on the statement
   * @returns how many statements of the connection have no answer yet, this one included
   */
  begin(client: ClientBase, pid: number): number {
    const waiting = this.#waiting.get(client);
    if (waiting) return (waiting.sent += 1);
    const { bytesRead } = socketOf(client);
    this.#waiting.set(client, { pid, since: performance.now(), bytesRead, suspicions: 0, sent: 1 });
    return 1;
  }

  /** One of the statements has its answer. */
  end(client: ClientBase): void {
    const waiting = this.#waiting.get(client);
    if (!waiting) return;
    waiting.sent -= 1;
    waiting.since = performance.now();
    waiting.suspicions = 0;
    if (waiting.sent === 0) this.#waiting.delete(client);
  }

  async #check(): Promise<void> {
    if (this.#checking) return;
    const before = performance.now() - SUSPECT_AFTER_MS;
    const slow = [...this.#waiting].filter(([client, { since }]) => since < before && !socketOf(client).destroyed);
    if (slow.length === 0) return;
    this.#checking = true;
    try {
      const waits = await this.#ask(slow.map(([, { pid }]) => pid));
      if (waits !== null) for (const [client, entry] of slow) this.#assess(client, entry, waits);
    } finally {
      this.#checking = false;
    }
  }

  #assess(client: ClientBase, entry: WatchedStatement, waits: ReadonlySet<number>): void {
    if (this.#waiting.get(client) !== entry) return;
    const { bytesRead } = socketOf(client);
    const silent = waits.has(entry.pid) && bytesRead === entry.bytesRead;
    entry.bytesRead = bytesRead;
    entry.suspicions = silent ? entry.suspicions + 1 : 0;
    if (entry.suspicions < SUSPICIONS) return;
    this.#onDrop();
    drop(client, "its connection carries no data any more");
  }

  /** The server processes that work on nothing or do not exist; null when that is unknown. */
  async #ask(pids: readonly number[]): Promise<ReadonlySet<number> | null> {
    for (const config of this.#configs) {
      const waits = await ask(config, pids);
      if (waits !== "unreachable") return waits;
    }
    return new Set(pids);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

async function ask(config: ClientConfig, pids: readonly number[]): Promise<ReadonlySet<number> | null | "unreachable"> {
  const client = new Client(config);
  client.on("error", () => undefined);
  let connected = false;
  try {
    await client.connect();
    connected = true;
    const asked = client.query<{ pid: number; waits: boolean }>(BACKENDS, [pids]);
    const { rows } = await within(client, CONNECT_MS, asked);
    const working = new Set(rows.filter(({ waits }) => !waits).map(({ pid }) => pid));
    return new Set(pids.filter((pid) => !working.has(pid)));
  } catch (error) {
    const unreachable = !connected && isUnreachable(error) && !UNRESOLVED.has(codeOf(error) ?? "");
    return unreachable ? "unreachable" : null;
  } finally {
    void endClient(client);
  }
}
