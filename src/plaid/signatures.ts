/**
 * Checks signatures on threads of its own, many in one message. Node's own thread pool can do it too, one job at a time,
 * but each job wakes a thread and then the event loop. With thousands of webhooks a second that costs a fifth of what the
 * signatures cost (measured). So signatures that come while a thread is busy wait, and go to it together.
 *
 * A thread: idle → busy with a batch → idle …. A thread that dies is not replaced; its signatures go to Node's pool.
 */
import { verify, type KeyObject } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

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

const SIGNATURE_BYTES = 64;
/** One or two milliseconds of work: the first of a batch waits for the last. */
const BATCH_MAX = 16;
/** One being checked and one queued, so that a thread does not wait for the event loop. */
const BATCHES_AHEAD = 2;
const KEYS_KEPT = 256;

/**
 * The program of a thread. It is text, so that it is the same whether Tartan runs from its sources, its build or a bundle.
 * A message is a batch: `bytes` holds signature and signed data of each, `lengths` the lengths of the data, `names` the keys.
 */
const PROGRAM = `
const { parentPort } = require("node:worker_threads");
const { verify } = require("node:crypto");
let keys = [];
parentPort.on("message", ({ newKeys, forget, names, lengths, bytes }) => {
  if (forget) keys = [];
  keys.push(...newKeys);
  let at = 0;
  const results = names.map((name, index) => {
    const signature = bytes.subarray(at, (at += ${SIGNATURE_BYTES}));
    const signed = bytes.subarray(at, (at += lengths[index]));
    try {
      return verify("sha256", signed, { key: keys[name], dsaEncoding: "ieee-p1363" }, signature);
    } catch {
      return false;
    }
  });
  parentPort.postMessage(results);
});
`;

interface Job {
  signed: Buffer;
  signature: Buffer;
  key: KeyObject;
  resolve: (holds: boolean) => void;
}

interface Thread {
  worker: Worker;
  /** the batches that it has not answered, in order */
  batches: (readonly Job[])[];
  /** the keys that it has, by their place in its list */
  keys: Map<KeyObject, number>;
}

/** Starts the threads; by default one for every two cores. Disposing ends them once they have answered. */
export function openSignatures(threads = Math.max(1, availableParallelism() >> 1)): Signatures {
  return new SignatureThreads(threads);
}

class SignatureThreads implements Signatures {
  #threads: Thread[];
  #waiting: Job[] = [];
  #scheduled = false;
  #closed: (() => void) | null = null;

  constructor(threads: number) {
    this.#threads = Array.from({ length: threads }, () => this.#start());
  }

  readonly check: SignatureCheck = (signed, signature, key) => {
    if (signature.length !== SIGNATURE_BYTES) return Promise.resolve(false);
    if (this.#threads.length === 0 || this.#closed) return checkSignature(signed, signature, key);
    return new Promise((resolve) => {
      this.#waiting.push({ signed, signature, key, resolve });
      if (this.#scheduled) return;
      // All requests of this turn of the event loop go into one batch.
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#pump();
      });
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
    const worker = new Worker(PROGRAM, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 32 }, execArgv: [] });
    const thread: Thread = { worker, batches: [], keys: new Map() };
    worker.unref();
    worker.on("message", (results: boolean[]) => {
      const batch = thread.batches.shift() ?? [];
      this.#pump();
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] === true);
    });
    worker.on("error", () => this.#lose(thread));
    worker.on("exit", () => this.#lose(thread));
    return thread;
  }

  #pump(): void {
    for (let ahead = 0; ahead < BATCHES_AHEAD; ahead += 1) {
      for (const thread of this.#threads) {
        if (this.#waiting.length === 0) break;
        if (thread.batches.length === ahead) send(thread, this.#waiting.splice(0, BATCH_MAX));
      }
    }
    if (this.#waiting.length === 0 && this.#threads.every(({ batches }) => batches.length === 0)) this.#closed?.();
  }

  #lose(thread: Thread): void {
    if (!this.#threads.includes(thread)) return;
    this.#threads = this.#threads.filter((other) => other !== thread);
    const orphans = [...thread.batches.flat(), ...(this.#threads.length === 0 ? this.#waiting.splice(0) : [])];
    for (const { signed, signature, key, resolve } of orphans)
      void checkSignature(signed, signature, key).then(resolve);
    this.#pump();
  }
}

function send(thread: Thread, batch: readonly Job[]): void {
  thread.batches.push(batch);
  const forget = thread.keys.size > KEYS_KEPT;
  if (forget) thread.keys.clear();
  const newKeys: KeyObject[] = [];
  const names = batch.map(({ key }) => {
    let name = thread.keys.get(key);
    if (name === undefined) {
      thread.keys.set(key, (name = thread.keys.size));
      newKeys.push(key);
    }
    return name;
  });
  const length = batch.reduce((sum, { signed }) => sum + SIGNATURE_BYTES + signed.length, 0);
  // Memory of its own, transferred and not copied.
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const { signed, signature } of batch) {
    bytes.set(signature, at);
    bytes.set(signed, at + SIGNATURE_BYTES);
    at += SIGNATURE_BYTES + signed.length;
  }
  const message = { newKeys, forget, names, lengths: batch.map(({ signed }) => signed.length), bytes };
  thread.worker.postMessage(message, [bytes.buffer]);
}
