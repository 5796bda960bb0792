/**
 * The ring of slots that the event loop shares with a thread which checks signatures, and the program of that thread.
 *
 *   event loop: writes a slot → WRITTEN + 1 → wakes the thread if it SLEEPS … gets the message → ANNOUNCED := 0 → reads results up to CHECKED
 *   thread:     waits while WRITTEN is what it has checked → writes the result → CHECKED + 1 → unless ANNOUNCED, ANNOUNCED := 1 and sends a message
 *
 * Why no wake-up is lost: Atomics are sequentially consistent. The thread sets SLEEPS before it compares WRITTEN for the last time (in
 * Atomics.wait), and the event loop adds to WRITTEN before it reads SLEEPS: one of the two sees the other. The thread adds to CHECKED
 * before it exchanges ANNOUNCED, and the event loop clears ANNOUNCED before it reads CHECKED: either it sees the result, or a message follows.
 *
 * The counters wrap at 2³¹, after days of load, so they are compared by their difference only. They begin 64 before that, so that each process
 * goes through it at once.
 */

export const SIGNATURE_BYTES = 64;
/** Signatures that a thread has before it at most: the event loop keeps further ones. A power of two. */
export const SLOTS = 256;
const SLOT_BYTES = 1024;
/** Plaid signs about 300 bytes; longer ones are checked on Node's pool. */
export const SIGNED_BYTES_MAX = SLOT_BYTES - SIGNATURE_BYTES;
/** Keys that the event loop knows a thread has. The thread keeps some more, for slots that name a key which the event loop has forgotten. */
export const KEYS_KEPT = 256;
const KEYS_OF_THREAD = KEYS_KEPT + SLOTS;

const [WRITTEN, CHECKED, SLEEPS, ANNOUNCED, COUNTERS] = [0, 1, 2, 3, 4];
/** Of a slot: the number of its key, the length of what is signed, and the result. */
const FACTS = 3;
const FIRST = 2 ** 31 - 64;
/** Results that a thread gathers while it has more to check. */
const ANNOUNCE_EVERY = 8;

/** The event loop's side. The caller writes no more than SLOTS signatures whose results it has not read. */
export class Ring {
  /** what the thread gets */
  readonly memory: { words: Int32Array; bytes: Uint8Array };
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #written = FIRST;
  #read = FIRST;

  constructor() {
    this.#words = new Int32Array(new SharedArrayBuffer((COUNTERS + FACTS * SLOTS) * 4));
    this.#bytes = new Uint8Array(new SharedArrayBuffer(SLOTS * SLOT_BYTES));
    this.#words[WRITTEN] = this.#words[CHECKED] = FIRST;
    this.memory = { words: this.#words, bytes: this.#bytes };
  }

  /** Hands over a signature (64 bytes) of `signed` (SIGNED_BYTES_MAX at most) under the key of this number. */
  write(key: number, signature: Uint8Array, signed: Uint8Array): void {
    const slot = this.#written & (SLOTS - 1);
    this.#bytes.set(signature, slot * SLOT_BYTES);
    this.#bytes.set(signed, slot * SLOT_BYTES + SIGNATURE_BYTES);
    this.#words[COUNTERS + slot * FACTS] = key;
    this.#words[COUNTERS + slot * FACTS + 1] = signed.length;
    this.#written = (this.#written + 1) | 0;
    Atomics.store(this.#words, WRITTEN, this.#written);
    if (Atomics.load(this.#words, SLEEPS) === 1) Atomics.notify(this.#words, WRITTEN);
  }

  /** The results that are new, in the order of `write`. */
  results(): boolean[] {
    Atomics.store(this.#words, ANNOUNCED, 0);
    const checked = Atomics.load(this.#words, CHECKED);
    const results: boolean[] = [];
    for (; this.#read !== checked; this.#read = (this.#read + 1) | 0)
      results.push(this.#words[COUNTERS + (this.#read & (SLOTS - 1)) * FACTS + 2] === 1);
    return results;
  }
}

/**
 * The program of a thread. It is text, so that it is the same whether Tartan runs from its sources, its build or a bundle. It never returns
 * to its event loop: it reads messages, which are keys, when a slot names a key that it does not have.
 */
export const PROGRAM = `
const { parentPort, receiveMessageOnPort, workerData } = require("node:worker_threads");
const { verify } = require("node:crypto");
const { words, bytes } = workerData;
const keys = new Map();
let received = 0;

function keyOf(number) {
  while (received <= number) {
    const { message } = receiveMessageOnPort(parentPort);
    keys.set(received++, { key: message, dsaEncoding: "ieee-p1363" });
    keys.delete(received - 1 - ${KEYS_OF_THREAD});
  }
  const key = keys.get(number);
  if (key === undefined) throw new Error("a slot names a key that is gone");
  return key;
}

function check(slot) {
  const at = slot * ${SLOT_BYTES};
  const end = at + ${SIGNATURE_BYTES};
  const facts = ${COUNTERS} + slot * ${FACTS};
  // Without the key this throws, which ends the thread: its signatures are then checked elsewhere.
  const key = keyOf(words[facts]);
  try {
    return verify("sha256", bytes.subarray(end, end + words[facts + 1]), key, bytes.subarray(at, end));
  } catch {
    return false;
  }
}

for (let checked = ${FIRST | 0}; ; ) {
  while (Atomics.load(words, ${WRITTEN}) === checked) {
    Atomics.store(words, ${SLEEPS}, 1);
    Atomics.wait(words, ${WRITTEN}, checked);
    Atomics.store(words, ${SLEEPS}, 0);
  }
  const slot = checked & ${SLOTS - 1};
  words[${COUNTERS} + slot * ${FACTS} + 2] = check(slot) ? 1 : 0;
  checked = (checked + 1) | 0;
  Atomics.store(words, ${CHECKED}, checked);
  const isLast = Atomics.load(words, ${WRITTEN}) === checked;
  if ((isLast || checked % ${ANNOUNCE_EVERY} === 0) && Atomics.exchange(words, ${ANNOUNCED}, 1) === 0) parentPort.postMessage(0);
}
`;
