/** Requests the reading of a resource for all subjects of an integration, in parts; a repeat of an interrupted call repeats requests only. */
import type { Queryable } from "../database/types.ts";
import { RESOURCES } from "../resources/index.ts";
import { eachPage, pageOfSubjects } from "./forget.ts";
import { NOTIFY_DUE } from "./mark-queries.ts";
import { asOneOfAll } from "./plan.ts";

/**
 * $4 the request, $5 the kind of subjects. Linked subjects only, and running ones too: their run may have begun before the change that
 * causes the request, and ends at a newer generation than it claimed, so that it runs again.
 */
const REQUEST = pageOfSubjects(
  `generation = s.generation + 1, requested = array(select distinct unnest(s.requested || $4::text) order by 1),
    due_at = case when s.lease_token is null then least(s.due_at, greatest(now(), s.not_before)) else s.due_at end`,
  "s.kind = $5 and s.status not in ('unlinked', 'ended')",
);

/** Subjects that lack the resource's product are not asked for it. */
export async function requestEverywhere(q: Queryable, integrationId: string, name: string): Promise<void> {
  const resource = RESOURCES.find((each) => each.name === name);
  if (!resource) return;
  await eachPage(q, REQUEST, integrationId, [asOneOfAll(resource), resource.subject.kind]);
  await q.query(NOTIFY_DUE);
}
