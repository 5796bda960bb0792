/**
 * A sender of webhooks in a process of its own, for hours: it signs each webhook when it sends it, sends a refused one again as it was,
 * and knows which were acknowledged.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { createHistogram } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { newSigningKey, signJwt, startKeyServer, webhookBody, type SigningKey } from "../test/support/plaid-signer.ts";
import { answersOf } from "./load.ts";

export interface FloodCounts {
  /** webhooks that were made, numbered from 0 */
  made: number;
  acknowledged: number;
  /** webhooks that were given up after a minute of refusals */
  abandoned: number;
  /** answers other than 200 by status, and failed connections by code */
  refused: Record<string, number>;
  /** since the last question, in milliseconds */
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface Flood extends AsyncDisposable {
  /** stands in for Plaid's API: answers /webhook_verification_key/get and nothing else */
  plaidUrl: string;
  /** @param perSecond null: as fast as they are answered */
  start(options: { url: string; perSecond: number | null }): Promise<void>;
  counts(): Promise<FloodCounts>;
  /** Ends when the webhooks under way are acknowledged or given up. Writes a byte for each webhook into `file`: 1, acknowledged. */
  stop(file: string): Promise<FloodCounts>;
}

const CONNECTIONS = 48;
/** Items that nobody linked, so that there are not more of them with each webhook. */
const ITEMS = 2000;
/** A JWT is good for five minutes. */
const GIVE_UP_MS = 60_000;
const AGAIN_MS = 500;
/** After a stop of Postgres the sender goes on from now and does not make up for the time. */
const LATE_MAX_MS = 1000;
/** Plaid waits ten seconds for an answer. */
const ANSWER_MS = 10_000;
const CLOSED = -1;

class Sender {
  readonly #key: SigningKey;
  #made = 0;
  #acknowledged = new Uint8Array(1 << 20);
  #count = { acknowledged: 0, abandoned: 0 };
  readonly #refused: Record<string, number> = {};
  #took = createHistogram();
  #run = 0;
  #running: Promise<unknown> = Promise.resolve();

  constructor(key: SigningKey) {
    this.#key = key;
  }

  async start(url: string, perSecond: number | null): Promise<void> {
    this.#run += 1;
    await this.#running;
    this.#took = createHistogram();
    const pace = { nextAt: performance.now(), everyMs: perSecond === null ? 0 : 1000 / perSecond };
    this.#running = Promise.all(Array.from({ length: CONNECTIONS }, () => this.#drive(url, pace, this.#run)));
  }

  counts(): FloodCounts {
    const ms = (nanoseconds: number): number => nanoseconds / 1e6;
    const took = this.#took;
    this.#took = createHistogram();
    return {
      made: this.#made,
      ...this.#count,
      refused: this.#refused,
      p50Ms: ms(took.percentile(50)),
      p99Ms: ms(took.percentile(99)),
      maxMs: took.count > 0 ? ms(took.max) : 0,
    };
  }

  async stop(file: string): Promise<FloodCounts> {
    this.#run += 1;
    await this.#running;
    writeFileSync(file, this.#acknowledged.subarray(0, this.#made));
    return this.counts();
  }

  async #drive(url: string, pace: { nextAt: number; everyMs: number }, run: number): Promise<void> {
    const line = new Line(url);
    while (this.#run === run) {
      const now = performance.now();
      pace.nextAt = Math.max(pace.nextAt, now - LATE_MAX_MS);
      const due = pace.nextAt;
      pace.nextAt += pace.everyMs;
      if (due > now) await delay(due - now);
      const number = this.#made++;
      await this.#send(line, number, this.#request(url, number));
    }
    line.close();
  }

  #request(url: string, number: number): Buffer {
    const body = webhookBody({ item_id: `soak-${number % ITEMS}`, new_transactions: number });
    const { pathname, host } = new URL(url);
    const head =
      `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nPlaid-Verification: ${signJwt(this.#key, body)}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), body]);
  }

  /** Sends it until it is acknowledged. */
  async #send(line: Line, number: number, request: Buffer): Promise<void> {
    const began = performance.now();
    for (;;) {
      const at = performance.now();
      const status = await line.send(request);
      if (status === 200) {
        this.#took.record(Math.max(1, Math.round((performance.now() - at) * 1e6)));
        return this.#note(number);
      }
      const kind = status === CLOSED ? "connection" : String(status);
      this.#refused[kind] = (this.#refused[kind] ?? 0) + 1;
      if (performance.now() - began > GIVE_UP_MS) {
        this.#count.abandoned += 1;
        return;
      }
      await delay(AGAIN_MS);
    }
  }

  #note(number: number): void {
    if (number >= this.#acknowledged.length) {
      const larger = new Uint8Array(2 * this.#acknowledged.length);
      larger.set(this.#acknowledged);
      this.#acknowledged = larger;
    }
    this.#acknowledged[number] = 1;
    this.#count.acknowledged += 1;
  }
}

/** A connection that is opened again when it was closed. */
class Line {
  readonly #url: URL;
  #socket: Socket | null = null;
  #answers: ReturnType<typeof answersOf> | null = null;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** @returns the status, or CLOSED */
  async send(request: Buffer): Promise<number> {
    if (this.#socket?.destroyed) this.close();
    if (this.#socket === null) {
      const socket = connect(Number(this.#url.port), this.#url.hostname).setNoDelay(true);
      this.#socket = socket.setTimeout(ANSWER_MS, () => socket.destroy());
      this.#answers = null;
    }
    this.#answers ??= answersOf(this.#socket);
    const answer = this.#answers.next();
    this.#socket.write(request);
    return await answer.catch(() => {
      this.close();
      return CLOSED;
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
    this.#answers = null;
  }
}

interface Question {
  n: number;
  what: "plaid" | "start" | "counts" | "stop";
  url?: string;
  perSecond?: number | null;
  file?: string;
}

async function serve(): Promise<void> {
  const key = newSigningKey();
  const plaid = await startKeyServer(key);
  const sender = new Sender(key);
  const answer = async ({ what, url = "", perSecond = null, file = "" }: Question): Promise<unknown> => {
    if (what === "plaid") return plaid.url;
    if (what === "start") return await sender.start(url, perSecond);
    return what === "counts" ? sender.counts() : await sender.stop(file);
  };
  process.on("message", (question: Question) => {
    void answer(question).then((answered) => process.send?.({ n: question.n, answered: answered ?? null }));
  });
  process.on("disconnect", () => process.exit());
  process.send?.("ready");
}

if (process.argv[2] === "flood") await serve();

export async function startFlood(): Promise<Flood> {
  const child = fork(import.meta.filename, ["flood"], { execArgv: ["--import", "tsx"] });
  await once(child, "message");
  const ask = askerOf(child);
  return {
    plaidUrl: (await ask({ what: "plaid" })) as string,
    start: async (options) => void (await ask({ what: "start", ...options })),
    counts: async () => (await ask({ what: "counts" })) as FloodCounts,
    stop: async (file) => (await ask({ what: "stop", file })) as FloodCounts,
    [Symbol.asyncDispose]: async () => void child.kill("SIGKILL"),
  };
}

function askerOf(child: ChildProcess): (question: Omit<Question, "n">) => Promise<unknown> {
  let asked = 0;
  return async (question) => {
    const n = (asked += 1);
    return await new Promise((resolve, reject) => {
      const onAnswer = (message: { n: number; answered: unknown }): void => {
        if (message.n !== n) return;
        child.off("message", onAnswer);
        child.off("exit", onExit);
        resolve(message.answered);
      };
      const onExit = (): void => reject(new Error("the sender of webhooks is gone"));
      child.on("message", onAnswer);
      child.once("exit", onExit);
      child.send({ n, ...question });
    });
  };
}
