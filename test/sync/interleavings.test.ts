/**
 * Accepting, marking, claiming, looking and committing, interleaved statement by statement in random orders, against a real
 * Postgres: no webhook is left unprocessed while its subject is not due.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Database, Queryable } from "../../src/database/types.ts";
import { append } from "../../src/journal/append.ts";
import { commitRun } from "../../src/sync/commit.ts";
import { markWaiting } from "../../src/sync/marker.ts";
import { claim as claimDue, waitingWebhooks } from "../../src/sync/queue.ts";
import type { Claim } from "../../src/sync/types.ts";
import { testDatabase } from "../support/database.ts";
import { markAll } from "../support/mark.ts";
import { webhook } from "../support/webhook.ts";
import { linkItem } from "../journal/support.ts";

/** A statement that takes longer waits for another transaction's lock, and somebody else has to go on. */
const BLOCKED_MS = 60;
const ITEMS = ["item-1", "item-2"];
const ROUNDS = 3;

/** Lets one actor at a time send its next statement. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  readonly #choices: Iterator<number>;
  #active = 0;
  #changed: () => void = () => undefined;

  constructor(choices: Iterable<number>) {
    this.#choices = choices[Symbol.iterator]();
  }

  /** Waits for a turn. */
  async gate(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#changed();
    });
  }

  /** A number from 0 to 1023, the next one of the choices. */
  next(): number {
    return (this.#choices.next() as { value?: number }).value ?? 0;
  }

  async run(actors: readonly (() => Promise<void>)[]): Promise<void> {
    this.#active = actors.length;
    const done = actors.map(async (actor) => {
      try {
        await this.gate();
        await actor();
      } finally {
        this.#active -= 1;
        this.#changed();
      }
    });
    const ended = Promise.allSettled(done);
    while (this.#active > 0) {
      await this.#settled();
      const [go] = this.#waiting.splice(this.next() % Math.max(1, this.#waiting.length), 1);
      go?.();
    }
    await ended;
    await Promise.all(done);
  }

  /** Until every actor waits for its turn or has ended, or those that do not are blocked. */
  async #settled(): Promise<void> {
    const last = Date.now() + BLOCKED_MS;
    while (this.#waiting.length < this.#active && Date.now() < last) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        setTimeout(resolve, BLOCKED_MS);
      });
    }
  }
}

/** `database`, each of whose statements, and each commit, waits for a turn. Those that are sent at once leave in their order. */
function gated(database: Database, turns: Turns, mayFail = false): Database {
  const wrap = (q: Queryable): Queryable => {
    let last = Promise.resolve();
    return {
      query: async (statement, values) => {
        const turn = last.then(() => turns.gate());
        last = turn;
        await turn;
        return await q.query(statement, values);
      },
    };
  };
  return {
    ...wrap(database),
    transaction: (work, kind) =>
      database.transaction(async (tx) => {
        const result = await work(wrap(tx));
        await turns.gate();
        if (mayFail && turns.next() % 4 === 0) throw new Error("the process ends before its commit");
        return result;
      }, kind),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function accept(database: Database): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const webhooks = ITEMS.map((itemId) => webhook({ itemId }));
    await database.transaction((tx) => append(tx, webhooks));
  }
}

async function mark(database: Database): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) await markWaiting(database).catch(() => undefined);
}

/** Claims a subject, looks at what waits, and serves that; @returns the webhooks, none without a subject that is due. */
async function runOnce(database: Database): Promise<string[] | null> {
  const [claimed] = await claimDue(database, "", 1, 600);
  if (!claimed) return null;
  const webhooks = await waitingWebhooks(database, claimed);
  await commitRun(database, endingOf(claimed, webhooks));
  return webhooks.map(({ id }) => id);
}

/** The end of a run that had nothing to ask Plaid. */
const endingOf = (
  claim: Claim,
  webhooks: Awaited<ReturnType<typeof waitingWebhooks>>,
): Parameters<typeof commitRun>[1] => {
  const { integrationId, kind, id: subjectId, leaseToken } = claim;
  return {
    claim,
    scope: { integrationId, kind, subjectId, leaseToken, facts: { user_id: null } },
    environment: null,
    enabled: [],
    unconfirmed: null,
    outcomes: [],
    decision: {
      outcome: "synced",
      status: "ok",
      attempts: 0,
      dueInMs: null,
      holdMs: null,
      pending: [],
      retried: new Set(),
      error: null,
      gone: false,
    },
    statuses: new Map(),
    loops: new Map(),
    notices: { open: [], repairs: [] },
    early: [],
    webhooks,
    served: webhooks,
    idle: [],
    announcements: new Map(),
    erasesRevoked: false,
    tookMs: () => 0,
  };
};

interface Webhook {
  id: string;
  processed: boolean;
  /** it waits to be marked, or its subject is due from this webhook or an older one */
  found: boolean;
}

async function webhooksOf(database: Database): Promise<Webhook[]> {
  const { rows } = await database.query<Webhook>(`
    select w.id, w.processed_at is not null as processed,
      exists (select from events.sync_outbox o where w.id = any (o.webhooks))
        or coalesce(s.due_at is not null and s.lease_token is null and s.oldest_unserved <= w.id, false) as found
    from journal.webhooks w left join sync.subjects s
      on s.integration_id = w.integration_id and s.kind = w.subject_kind and s.id = w.subject_id`);
  return rows;
}

test("in any order of statements no webhook stays unprocessed while its subject is not due, and each is served once", async () => {
  await using db = await testDatabase({ poolSize: 12 });
  const { database } = db;
  for (const itemId of ITEMS) await linkItem(database, itemId, "user-1");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 1023 }), { minLength: 400, maxLength: 400 }),
      async (choices) => {
        await database.query("truncate journal.webhooks, events.sync_outbox, events.outbox, sync.subjects");
        const turns = new Turns(choices);
        const served: string[] = [];
        const work = async (): Promise<void> => {
          for (let round = 0; round < ROUNDS; round += 1)
            served.push(...((await runOnce(gated(database, turns))) ?? []));
        };
        const steady = gated(database, turns);
        const failing = gated(database, turns, true);
        await turns.run([() => accept(steady), () => mark(steady), () => mark(failing), work, work]);
        const afterwards = await webhooksOf(database);
        expect(afterwards).toHaveLength(ITEMS.length * ROUNDS);
        expect(afterwards.filter(({ processed, found }) => !processed && !found)).toEqual([]);
        await markAll(database);
        for (let more = await runOnce(database); more !== null; more = await runOnce(database)) served.push(...more);
        expect((await webhooksOf(database)).every(({ processed }) => processed)).toBe(true);
        expect(served.toSorted()).toEqual(afterwards.map(({ id }) => id).toSorted());
      },
    ),
    { numRuns: 25 },
  );
}, 180_000);
