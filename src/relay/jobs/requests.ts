/**
 * Idempotent requests: a request with an Idempotency-Key has its effect once, however often it is sent. The key is stored in the
 * transaction that does the work. When that transaction fails nothing is stored, and a repeat tries again; when it commits, its
 * answer is kept for 24 hours. A repeat that arrives during the work waits for the first request.
 */
import { createHash } from "node:crypto";
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { ANSWER_REQUEST, CLAIM_REQUEST, EXPIRE_REQUEST, GET_REQUEST } from "./request-queries.ts";

export interface Answered<T> {
  status: number;
  body: T;
}

interface Kept<T> {
  requestSha256: Buffer;
  status: number;
  answer: T;
}

const KEY = /^[\x21-\x7e]{1,255}$/;

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Each request needs two connections, so few run at a time; and a limited number may wait for a turn or for an earlier request with their key. */
const AT_ONCE = 2;
const WAITING_MAX = 50;

/** The requests of a database in this process. */
interface Turns {
  running: number;
  waiting: (() => void)[];
  /** all requests, including those that wait for an earlier one with their key */
  count: number;
  /** the last request with each key */
  last: Map<string, Promise<unknown>>;
}

const turnsOf = new WeakMap<Database, Turns>();

/**
 * Does `work` for the first request with this key, and returns its answer for the others.
 * @param request must be equal each time: method, path and body
 * @param work gets a database whose transactions are part of the one that stores the key
 * @throws TartanError `invalid_request` for a key that is not usable, `idempotency_key_reused` for one that came with another
 *   request, `overloaded` where too many wait
 */
export async function once<T>(
  database: Database,
  key: string,
  request: string,
  work: (database: Database) => Promise<Answered<T>>,
): Promise<Answered<T> & { repeated: boolean }> {
  if (!KEY.test(key)) {
    throw new TartanError("invalid_request", "The Idempotency-Key is not usable.", {
      fields: { "idempotency-key": "must be 1 to 255 visible ASCII characters, such as a UUID" },
    });
  }
  const turns = turnsOf.get(database) ?? { running: 0, waiting: [], count: 0, last: new Map() };
  turnsOf.set(database, turns);
  return await behindItsKey(turns, key, () => inTurn(turns, () => workOnce(database, key, request, work)));
}

/** Runs requests with the same key one after the other, so that they wait without a connection. */
async function behindItsKey<T>(turns: Turns, key: string, work: () => Promise<T>): Promise<T> {
  if (turns.count >= WAITING_MAX) {
    throw new TartanError("overloaded", "Too many requests with an Idempotency-Key wait; try again later.", {
      retryAfterSeconds: 5,
    });
  }
  turns.count += 1;
  const turn = (turns.last.get(key) ?? Promise.resolve()).then(work);
  const ended = turn.then(
    () => undefined,
    () => undefined,
  );
  turns.last.set(key, ended);
  try {
    return await turn;
  } finally {
    turns.count -= 1;
    if (turns.last.get(key) === ended) turns.last.delete(key);
  }
}

async function inTurn<T>(turns: Turns, work: () => Promise<T>): Promise<T> {
  // A finished request hands its place to the first that waits, so that a new request cannot overtake it.
  if (turns.running < AT_ONCE) turns.running += 1;
  else await new Promise<void>((resolve) => turns.waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = turns.waiting.shift();
    if (next) next();
    else turns.running -= 1;
  }
}

async function workOnce<T>(
  database: Database,
  key: string,
  request: string,
  work: (database: Database) => Promise<Answered<T>>,
): Promise<Answered<T> & { repeated: boolean }> {
  const [keySha256, requestSha256] = [sha256(key), sha256(request)];
  return await database.transaction(async (tx) => {
    await tx.query(EXPIRE_REQUEST, [keySha256]);
    const claimed = await tx.query(CLAIM_REQUEST, [keySha256, requestSha256]);
    if (claimed.rowCount === 0) return await repeated<T>(tx, keySha256, requestSha256);
    const { status, body } = await work(within(database, tx));
    await tx.query(ANSWER_REQUEST, [keySha256, status, JSON.stringify(body)]);
    return { status, body, repeated: false };
  }, "long");
}

async function repeated<T>(
  tx: Queryable,
  keySha256: Buffer,
  requestSha256: Buffer,
): Promise<Answered<T> & { repeated: boolean }> {
  const { rows } = await tx.query<Kept<T>>(GET_REQUEST, [keySha256]);
  const [kept] = rows;
  if (!kept) throw new TartanError("overloaded", "The first request with this key has just been forgotten; try again.");
  if (!kept.requestSha256.equals(requestSha256)) {
    throw new TartanError(
      "idempotency_key_reused",
      "This Idempotency-Key came with another request within the last 24 hours. Use a new key for a new request.",
      { fields: { "idempotency-key": "belongs to another request" } },
    );
  }
  return { status: kept.status, body: kept.answer, repeated: true };
}

/** The database with its transactions inside `tx`. Single statements run outside of it, as they do without an Idempotency-Key. */
const within = (database: Database, tx: Queryable): Database => ({
  query: database.query.bind(database),
  transaction: (work) => work(tx),
  listen: database.listen.bind(database),
  [Symbol.asyncDispose]: async () => undefined,
});
