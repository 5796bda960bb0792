/**
 * Answers that are no JSON although they begin and end as such. Nothing parses a page as a whole before Postgres does, which costs as much
 * as reading it; so such an answer shows when the commit fails, and then must not keep the rest of the run from being written.
 */
import type { Queryable } from "../database/types.ts";
import { dropStaged, stagedText } from "../mirror/stage.ts";
import type { Reading } from "../mirror/types.ts";
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
    const { task, read, partial } = outcome;
    if (await isSound(q, leaseToken, read)) {
      sound.push(outcome);
      continue;
    }
    await dropStaged(q, leaseToken, task.resource.name);
    // A loop that began at the start, perhaps in an earlier run, begins there again.
    const again = task.resource.fetch.kind === "cursor" && (read.whole || partial) ? { ...task, full: true } : task;
    sound.push({ task: again, failure: failureOf(unreadable(), task.resource) });
  }
  return sound.every((outcome, at) => outcome === outcomes[at]) ? null : sound;
}

/** Looks at one page after the other, since a first history may have hundreds and they are staged so that memory holds one. */
async function isSound(q: Queryable, leaseToken: string, { resource, pages }: Reading): Promise<boolean> {
  for (const [number, { text }] of pages.entries()) {
    const page = text ?? (await stagedText(q, leaseToken, resource.name, number));
    if (page !== null && !isJson(page)) return false;
  }
  return true;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
