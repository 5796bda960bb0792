/** What a request for a job chooses must be there: a job about no items would hide a mistyped id. */
import type { Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { getIntegration } from "../integrations/integrations.ts";
import { noIntegration } from "../model/integration.ts";
import { UNKNOWN_ITEMS } from "./queries.ts";

interface Choice {
  integration_id?: string | undefined;
  item_ids?: readonly string[] | undefined;
}

const NAMED = 3;

/**
 * An item that was unlinked is known, and is left out of the job.
 * @throws TartanError `not_found` naming the integration, or the first of the items that the database does not have
 */
export async function expectChosen(q: Queryable, { integration_id, item_ids }: Choice): Promise<void> {
  if (integration_id !== undefined && (await getIntegration(q, integration_id)) === null)
    throw noIntegration(integration_id);
  if (item_ids === undefined) return;
  const { rows } = await q.query<{ id: string }>(UNKNOWN_ITEMS, [item_ids, integration_id ?? null]);
  if (rows.length === 0) return;
  const named = rows.slice(0, NAMED).map(({ id }) => id);
  const more = rows.length > NAMED ? ` and ${rows.length - NAMED} more` : "";
  const place = integration_id === undefined ? "" : ` in integration ${integration_id}`;
  throw new TartanError("not_found", `There is no Item ${named.join(", ")}${more}${place}.`, {
    fields: { item_ids: `has ${rows.length} of ${item_ids.length} that Tartan does not know; leave them out` },
  });
}
