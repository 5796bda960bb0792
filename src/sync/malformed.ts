/**
 * Answers that are no JSON although they begin and end as such. Nothing parses a page as a whole before Postgres does, which costs as much
 * as reading it; so such an answer shows when the commit fails, and then must not keep the rest of the run from being written.
 */
import type { Queryable } from "../database/types.ts";
import { dropStaged, stagedTexts } from "../mirror/stage.ts";
import { unreadable, type Reader } from "./ask.ts";
import { failureOf } from "./failure.ts";
import type { Outcome } from "./types.ts";

/** The outcomes with a failure in place of each reading that is no JSON, whose pages are dropped; null: all of them are. */
export async function withoutMalformed(
  q: Queryable,
  { leaseToken }: Reader["scope"],
  outcomes: readonly Outcome[],
): Promise<Outcome[] | null> {
  const sound: Outcome[] = [];
  for (const outcome of outcomes) {
    if (!("read" in outcome)) {
      sound.push(outcome);
      continue;
    }
    const { task, read } = outcome;
    const { name } = task.resource;
    const texts = read.pages.flatMap(({ text }) => text ?? []);
    if (read.pages.length > texts.length) texts.push(...(await stagedTexts(q, leaseToken, name)));
    if (texts.every(isJson)) {
      sound.push(outcome);
      continue;
    }
    await dropStaged(q, leaseToken, name);
    sound.push({ task, failure: failureOf(unreadable(), task.resource) });
  }
  return sound.every((outcome, at) => outcome === outcomes[at]) ? null : sound;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
