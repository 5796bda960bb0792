/** The list of public tokens and of what became of each. The tokens themselves are nowhere in it. */
import type { Queryable } from "../database/types.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { fromWebhookId, toPublicTokenId, toWebhookId } from "../model/ids.ts";
import { checkedFilter } from "../model/listing.ts";
import type { PublicTokenReason, PublicTokenStatus } from "../model/statuses.ts";
import { AdoptionFilter } from "./link.schema.ts";
import { LIST_FILTERS, listQuery } from "./queries.ts";
import { explainOutcome } from "./reasons.ts";

/** A public token as it may be shown; instants are ISO 8601. */
export interface Adoption {
  /** `ptk_…` */
  id: string;
  integration_id: string;
  status: PublicTokenStatus;
  /** of a failed one */
  reason: PublicTokenReason | null;
  message: string | null;
  next_step: string | null;
  /** false: a request brought it, and only a request exchanges it */
  adopt: boolean;
  user_id: string | null;
  item_id: string | null;
  link_session_id: string | null;
  /** `whk_…` of the first webhook that brought it */
  webhook_id: string | null;
  received_at: string;
  expires_at: string;
  attempts: number;
  /** Plaid's code of the last failure */
  last_error: string | null;
  settled_at: string | null;
}

type Row = Omit<Adoption, "message" | "next_step" | "received_at" | "expires_at" | "settled_at"> & {
  received_at: Date;
  expires_at: Date;
  settled_at: Date | null;
};

const publicShape = ({ id, webhook_id, received_at, expires_at, settled_at, ...row }: Row): Adoption => ({
  ...row,
  ...explainOutcome(row.reason, row.last_error),
  id: toPublicTokenId(id),
  webhook_id: webhook_id === null ? null : toWebhookId(webhook_id),
  received_at: received_at.toISOString(),
  expires_at: expires_at.toISOString(),
  settled_at: settled_at?.toISOString() ?? null,
});

/** No webhook has it. */
const NO_WEBHOOK = "00000000-0000-0000-0000-000000000000";

/**
 * A page of public tokens, newest first.
 * @throws TartanError `invalid_request` for an unknown status, or a cursor that is not of this list
 */
export async function listAdoptions(
  q: Queryable,
  filter: AdoptionFilter,
): Promise<{ data: Adoption[]; next_cursor: string | null }> {
  const { limit: size, cursor, ...asked } = checkedFilter(AdoptionFilter, filter);
  const matching = asked.webhook_id === undefined ? asked : { ...asked, webhook_id: uuidOf(asked.webhook_id) };
  const given = LIST_FILTERS.filter((name) => matching[name] !== undefined);
  const after = cursor === undefined ? [] : [fromCursor("adoptions", cursor)];
  const values = [...given.map((name) => matching[name]), ...after, size + 1];
  const { rows } = await q.query<Row>(listQuery(given, after.length > 0), values);
  const shown = rows.slice(0, size);
  const last = rows.length > size ? shown.at(-1) : undefined;
  return { data: shown.map(publicShape), next_cursor: last ? toCursor("adoptions", last.id) : null };
}

const uuidOf = (webhookId: string): string => fromWebhookId(webhookId) ?? NO_WEBHOOK;
