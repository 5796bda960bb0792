/**
 * Many callers that each ask about one row, in few statements: while a statement runs, further callers gather for the next one. With one
 * caller nothing waits.
 */
import type { Queryable } from "./types.ts";

/** Answers many at once, in their order. */
export type Many<Given, Answer> = (q: Queryable, given: readonly Given[]) => Promise<readonly Answer[]>;

/** Asks with others; callers with the same `many` share statements. Where their statement fails, it fails for all of them. */
export type Together = <Given, Answer>(many: Many<Given, Answer>, given: Given) => Promise<Answer>;

interface Waiting {
  given: unknown;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

const AT_ONCE = 500;

export function openTogether(q: Queryable): Together {
  const gatherings = new Map<unknown, Gathering>();
  return async <Given, Answer>(many: Many<Given, Answer>, given: Given): Promise<Answer> => {
    const gathering = gatherings.get(many) ?? new Gathering(q, many as Many<unknown, unknown>);
    gatherings.set(many, gathering);
    return (await gathering.ask(given)) as Answer;
  };
}

class Gathering {
  readonly #q: Queryable;
  readonly #many: Many<unknown, unknown>;
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(q: Queryable, many: Many<unknown, unknown>) {
    this.#q = q;
    this.#many = many;
  }

  async ask(given: unknown): Promise<unknown> {
    const answer = new Promise((resolve, reject) => this.#waiting.push({ given, resolve, reject }));
    if (!this.#busy) void this.#answerAll();
    return await answer;
  }

  async #answerAll(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, AT_ONCE);
      try {
        const answers = await this.#many(
          this.#q,
          batch.map(({ given }) => given),
        );
        for (const [index, { resolve }] of batch.entries()) resolve(answers[index]);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#busy = false;
  }
}
