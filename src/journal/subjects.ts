/**
 * Makes subjects due without a webhook: a manual sync, or a webhook too old to be journaled that still tells us to look.
 */
import type { Queryable } from "../database/types.ts";
import { ArrayWriter } from "../database/binary-arrays.ts";
import { gather } from "./marks.ts";
import { MARK_DUE, NOTIFY_DUE } from "./queries.ts";
import type { Mark } from "./types.ts";

/**
 * Marks the subjects due, creating those that do not exist, and hints at it with NOTIFY `tartan_due`. A subject that is
 * being worked on stays with its worker and becomes due again when that run ends.
 */
export async function markDue(q: Queryable, marks: readonly Mark[]): Promise<void> {
  if (marks.length === 0) return;
  const { sorted } = gather(marks);
  const out = new ArrayWriter(256 * sorted.length);
  await q.query(MARK_DUE, [
    out.text(sorted.map(({ first }) => first.integrationId)),
    out.text(sorted.map(({ first }) => first.kind)),
    out.text(sorted.map(({ first }) => first.id)),
    out.text(sorted.map(({ wanted }) => wanted.join(","))),
    out.timestamptz(sorted.map(({ first }) => first.notBefore)),
  ]);
  await q.query(NOTIFY_DUE);
}
