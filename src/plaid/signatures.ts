/**
 * Checks signatures on threads of its own. Node's own thread pool can do it too, one job at a time, but each job wakes a thread and then
 * the event loop. With thousands of webhooks a second that costs a fifth of what the signatures cost (measured).
 *
 * A thread shares a ring of slots with the event loop (signature-thread.ts). The event loop writes a signature into the next slot and wakes
 * the thread if it sleeps; the thread writes the result beside it. It sends a message when it has results that the event loop does not know
 * of yet, so a busy event loop gets many results by one message. Messages that carry the signatures cost the event loop twice as much.
 *
 * A thread that dies is not replaced; what it has not answered goes to Node's pool.
 */
import { verify, type KeyObject } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { KEYS_KEPT, PROGRAM, Ring, SIGNATURE_BYTES, SIGNED_BYTES_MAX, SLOTS } from "./signature-thread.ts";

/** Whether `signature` (r and s, 32 bytes each) is one of `signed` under ES256 with `key`. Never throws. */
export type SignatureCheck = (signed: Buffer, signature: Buffer, key: KeyObject) => Promise<boolean>;

export interface Signatures extends AsyncDisposable {
  check: SignatureCheck;
}

/** Checks on Node's thread pool; it need not be opened or closed. */
export const checkSignature: SignatureCheck = (signed, signature, key) =>
  new Promise((resolve) => {
    verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, signature, (error, holds) => {
      resolve(error === null && holds);
    });
  });

interface Job {
  signed: Buffer;
  signature: Buffer;
  key: KeyObject;
  resolve: (holds: boolean) => void;
}

interface Thread {
  worker: Worker;
  ring: Ring;
  /** the jobs that it has not answered, in order */
  jobs: Job[];
  /** the keys that it has, by their numbers */
  keys: Map<KeyObject, number>;
  keysSent: number;
}

interface SignatureOptions {
  /** by default one for every two cores */
  threads?: number;
  /** called with each thread that starts; tests end them */
  onStart?: (worker: Worker) => void;
}

/** Starts the threads. Disposing ends them once they have answered. */
export const openSignatures = (options: SignatureOptions = {}): Signatures => new SignatureThreads(options);

class SignatureThreads implements Signatures {
  #threads: Thread[];
  readonly #waiting: Job[] = [];
  #closed: (() => void) | null = null;

  constructor({ threads = Math.max(1, availableParallelism() >> 1), onStart }: SignatureOptions) {
    this.#threads = Array.from({ length: threads }, () => this.#start());
    for (const { worker } of this.#threads) onStart?.(worker);
  }

  readonly check: SignatureCheck = (signed, signature, key) => {
    if (signature.length !== SIGNATURE_BYTES) return Promise.resolve(false);
    if (this.#threads.length === 0 || this.#closed || signed.length > SIGNED_BYTES_MAX)
      return checkSignature(signed, signature, key);
    return new Promise((resolve) => {
      this.#waiting.push({ signed, signature, key, resolve });
      this.#pump();
    });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#pump();
    });
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #start(): Thread {
    const ring = new Ring();
    const worker = new Worker(PROGRAM, {
      eval: true,
      workerData: ring.memory,
      resourceLimits: { maxOldGenerationSizeMb: 32 },
      execArgv: [],
    });
    const thread: Thread = { worker, ring, jobs: [], keys: new Map(), keysSent: 0 };
    worker.unref();
    worker.on("message", () => {
      this.#settle(thread);
      this.#pump();
    });
    worker.on("error", () => this.#lose(thread));
    worker.on("exit", () => this.#lose(thread));
    return thread;
  }

  /** Gives the jobs that wait to the threads, each to the one with the fewest. */
  #pump(): void {
    let given = 0;
    for (; given < this.#waiting.length; given += 1) {
      const [first, ...others] = this.#threads;
      if (first === undefined) break;
      const thread = others.reduce((least, each) => (each.jobs.length < least.jobs.length ? each : least), first);
      if (thread.jobs.length === SLOTS) break;
      give(thread, this.#waiting[given] as Job);
    }
    this.#waiting.splice(0, given);
    if (this.#waiting.length === 0 && this.#threads.every(({ jobs }) => jobs.length === 0)) this.#closed?.();
  }

  #settle(thread: Thread): void {
    const results = thread.ring.results();
    for (const [index, { resolve }] of thread.jobs.splice(0, results.length).entries())
      resolve(results[index] === true);
  }

  #lose(thread: Thread): void {
    if (!this.#threads.includes(thread)) return;
    this.#settle(thread);
    this.#threads = this.#threads.filter((other) => other !== thread);
    const orphans = [...thread.jobs, ...(this.#threads.length === 0 ? this.#waiting.splice(0) : [])];
    for (const { signed, signature, key, resolve } of orphans)
      void checkSignature(signed, signature, key).then(resolve);
    this.#pump();
  }
}

function give(thread: Thread, job: Job): void {
  const { worker, ring, jobs, keys } = thread;
  let number = keys.get(job.key);
  if (number === undefined) {
    if (keys.size >= KEYS_KEPT) keys.clear();
    number = thread.keysSent++;
    keys.set(job.key, number);
    // Before the slot is written, so that the thread finds the key when it finds the slot.
    worker.postMessage(job.key, []);
  }
  jobs.push(job);
  ring.write(number, job.signature, job.signed);
}
