/**
 * Finds the webhooks whose subject's row another transaction holds, so that they alone are sent away and a batch does not
 * wait for them. Subjects that were held are remembered for a while: a batch with a webhook about one of them asks first,
 * instead of waiting for the lock again.
 *
 *   free → held (a batch waited in vain, and Postgres names the row) → free (Postgres says so, or nobody asked for a while)
 */
import type { Queryable } from "../database/types.ts";
import { gather } from "./marks.ts";
import { FIND_HELD_SUBJECTS } from "./queries.ts";
import type { NewWebhook } from "./types.ts";

const REMEMBERED_MS = 30_000;

interface Key {
  integrationId: string;
  kind: string;
  id: string;
}

/** NUL cannot occur in Postgres text. */
const nameOf = ({ integrationId, kind, id }: Key): string => `${integrationId}\0${kind}\0${id}`;

/** The subject that the webhook makes due; null where it makes none due. */
function keyOf({ integrationId, subject, settledAs }: NewWebhook): Key | null {
  return subject === null || settledAs !== undefined ? null : { integrationId, ...subject };
}

export class HeldSubjects {
  readonly #database: Queryable;
  /** when each was last found to be held, by performance.now() */
  readonly #known = new Map<string, number>();

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** Whether none was held lately, as good as always. */
  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  /** Of the webhooks, those about a subject that was held lately and still is. Asks Postgres only where there are such. */
  async stillHeld(webhooks: readonly NewWebhook[]): Promise<ReadonlySet<NewWebhook>> {
    const before = performance.now() - REMEMBERED_MS;
    for (const [name, at] of this.#known) if (at < before) this.#known.delete(name);
    const suspects = webhooks.filter((webhook) => {
      const key = keyOf(webhook);
      return key !== null && this.#known.has(nameOf(key));
    });
    return suspects.length === 0 ? new Set() : await this.find(suspects);
  }

  /** Of the webhooks, those about a subject that is held now. None where Postgres cannot say. */
  async find(webhooks: readonly NewWebhook[]): Promise<ReadonlySet<NewWebhook>> {
    const { sorted } = gather(webhooks.flatMap((webhook) => keyOf(webhook) ?? []));
    const keys = sorted.map(({ first }) => first);
    const values = [keys.map((key) => key.integrationId), keys.map(({ kind }) => kind), keys.map(({ id }) => id)];
    const { rows } = await this.#database
      .query<{ number: number }>(FIND_HELD_SUBJECTS, values)
      .catch(() => ({ rows: [] }));
    const held = new Set(rows.flatMap(({ number }) => (keys[number - 1] ? [nameOf(keys[number - 1] as Key)] : [])));
    for (const name of keys.map(nameOf)) {
      if (held.has(name)) this.#known.set(name, performance.now());
      else this.#known.delete(name);
    }
    return new Set(
      webhooks.filter((webhook) => {
        const key = keyOf(webhook);
        return key !== null && held.has(nameOf(key));
      }),
    );
  }
}
