/**
 * Drops a connection whose statement has no answer at its limit, with one timer for all of them: one for each statement cost a run of sync a
 * fiftieth of its processor time.
 *
 * And finds connections that were cut silently. For statements that take longer than a few seconds it asks Postgres, over a new
 * connection, whether it is working on them. A server that is not, or that cannot be reached either, will not answer: the
 * watch drops the connection long before the statement's own limit. A server or pooler that accepts the new connection and
 * does not answer in time may be busy, so the watch drops nothing then.
 */
import { Client, type ClientBase, type ClientConfig } from "pg";
import { CONNECT_MS } from "./limits.ts";
import { drop, endClient, READ_FIRST_MS, socketOf, within } from "./exchange.ts";
import { codeOf, isUnreachable } from "../failures.ts";

const CHECK_EVERY_MS = 1_000;
const SUSPECT_AFTER_MS = 3_000;
/** An answer that is on its way looks like a missing one, but only at one check. */
const SUSPICIONS = 2;

/** When a statement has to have its answer. */
interface Deadline {
  at: number;
  ms: number;
}

/** A connection whose statements have no answer yet. */
interface WatchedStatement {
  pid: number;
  since: number;
  bytesRead: number;
  suspicions: number;
  /** of the statements that were sent and have no answer yet, in the order of their answers */
  deadlines: Deadline[];
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
  /** fires at the earliest deadline, or before it */
  #alarm: NodeJS.Timeout | undefined;
  #alarmAt = Infinity;

  /** @param configs how to reach the server, the best way first: past a pooler, then as the statements themselves do */
  constructor(configs: readonly ClientConfig[], onDrop: () => void) {
    this.#configs = configs;
    this.#onDrop = onDrop;
    this.#timer = setInterval(() => void this.#check(), CHECK_EVERY_MS).unref();
  }

  /**
   * @param pid the server process that works on the statement
   * @param ms how long its answer may take; those that were sent before it on the connection may take as long first
   */
  begin(client: ClientBase, pid: number, ms: number): void {
    const now = performance.now();
    let waiting = this.#waiting.get(client);
    if (!waiting) {
      waiting = { pid, since: now, bytesRead: socketOf(client).bytesRead, suspicions: 0, deadlines: [] };
      this.#waiting.set(client, waiting);
    }
    const longest = ms * (waiting.deadlines.length + 1);
    waiting.deadlines.push({ at: now + longest, ms: longest });
    this.#setAlarm(now + longest);
  }

  /** The earliest of the statements has its answer. */
  end(client: ClientBase): void {
    const waiting = this.#waiting.get(client);
    if (!waiting) return;
    waiting.deadlines.shift();
    waiting.since = performance.now();
    waiting.suspicions = 0;
    if (waiting.deadlines.length === 0) this.#waiting.delete(client);
  }

  #setAlarm(at: number): void {
    if (at >= this.#alarmAt) return;
    clearTimeout(this.#alarm);
    this.#alarmAt = at;
    this.#alarm = setTimeout(() => this.#dropLate(), at - performance.now()).unref();
  }

  #dropLate(): void {
    this.#alarmAt = Infinity;
    const now = performance.now();
    let next = Infinity;
    for (const [client, { deadlines }] of this.#waiting) {
      for (const deadline of deadlines)
        if (deadline.at > now) next = Math.min(next, deadline.at);
        else setTimeout(() => this.#dropUnlessAnswered(client, deadline), READ_FIRST_MS).unref();
    }
    if (next < Infinity) this.#setAlarm(next);
  }

  #dropUnlessAnswered(client: ClientBase, deadline: Deadline): void {
    if (this.#waiting.get(client)?.deadlines.includes(deadline))
      drop(client, `it did not answer within ${deadline.ms / 1000} s`);
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
    clearTimeout(this.#alarm);
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
