/**
 * Gaps: differences from Plaid that no webhook announced. Each is stored as a webhook of source RECONCILER, so that
 * the journal shows what was missed, when Tartan noticed it, and what the run found that closed it.
 */
import type { Queryable } from "../database/types.ts";
import { append } from "../journal/append.ts";
import { newUuid } from "../model/ids.ts";
import { markServed } from "../journal/served.ts";
import type { NewWebhook } from "../model/webhook.ts";
import { resourcesOf } from "../resources/index.ts";
import type { LastWebhook } from "./compare.ts";
import type { Claim, Outcome, UpdateInfo, Decision } from "./types.ts";

/** What a check found; field names and Plaid's codes, never values. */
export interface Gap {
  /** the webhook that Plaid says it sent and the journal does not have */
  missed?: LastWebhook | null;
  /** fields of the item's row that differ from the mirror's */
  differs?: readonly string[];
  /** Plaid refused the item with this error */
  error?: { error_type: string; error_code: string };
  /** resources in which a run found changes that no webhook had announced */
  changed?: readonly string[];
  /** rows that a full check found wrong, and which columns; never values */
  wrong?: readonly { table: string; key: string; difference: string; columns: readonly string[] }[];
}

/** Among the requests of a run, it says that reconciliation requested the run; it names no resource. */
export const HEALS = "reconciliation";

const WEBHOOK_TYPE = "ITEM";
const WEBHOOK_CODE = "GAP_FOUND";

interface About {
  integrationId: string;
  itemId: string;
  environment: string | null;
}

/** The webhook that records a gap. It makes nothing due by itself. */
export function gapWebhook({ integrationId, itemId, environment }: About, gap: Gap): NewWebhook {
  const receivedAt = new Date();
  const { missed = null, differs = [], error = null, changed = [], wrong = [] } = gap;
  const body = {
    webhook_type: WEBHOOK_TYPE,
    webhook_code: WEBHOOK_CODE,
    item_id: itemId,
    environment,
    gap: {
      missed_webhook: missed,
      differing_fields: differs,
      error,
      changed_resources: changed,
      ...(wrong.length > 0 && { wrong_rows: wrong }),
    },
  };
  return {
    id: newUuid(receivedAt),
    integrationId,
    source: "RECONCILER",
    subject: null,
    itemId,
    webhookType: WEBHOOK_TYPE,
    webhookCode: WEBHOOK_CODE,
    environment,
    receivedAt,
    body: Buffer.from(JSON.stringify(body)),
    proof: null,
  };
}

/** What a run had to read, and how it read it. */
interface RunReading {
  claim: Claim;
  webhooks: readonly unknown[];
  outcomes: readonly Outcome[];
  statuses: ReadonlyMap<string, { readWith: string }>;
}

/**
 * The resources in which a run that reconciliation and no webhook requested found changes. A snapshot's rows change
 * without a webhook, like balances: of these only added and removed rows count. Rows that were read again with other options
 * differ for that reason.
 */
export function healed({ claim, webhooks, outcomes, statuses }: RunReading, { counts = {} }: UpdateInfo): string[] {
  if (webhooks.length > 0 || !claim.requested.includes(HEALS)) return [];
  const isReadOtherwise = (name: string): boolean => {
    const outcome = outcomes.find(({ task }) => task.resource.name === name);
    const before = statuses.get(name)?.readWith;
    return outcome !== undefined && "read" in outcome && before !== undefined && before !== (outcome.readWith ?? "");
  };
  return resourcesOf(claim.kind)
    .filter(({ name, fetch, tables }) => {
      const rows = tables.map((table) => counts[table.name] ?? { added: 0, modified: 0, removed: 0 });
      const isNews = rows.some(
        ({ added, modified, removed }) => added + removed + (fetch.kind === "snapshot" ? 0 : modified) > 0,
      );
      return isNews && !isReadOtherwise(name);
    })
    .map(({ name }) => name);
}

/** Requests of the next run: what has to be repeated of a run for reconciliation is for reconciliation too. */
export const stillHeals = (
  { requested }: Claim,
  webhooks: readonly unknown[],
  { pending }: Decision,
): readonly string[] =>
  pending.length > 0 && webhooks.length === 0 && requested.includes(HEALS) ? [...pending, HEALS] : pending;

/** Records a gap that the run in this transaction has closed, with what the run found. */
export async function recordHealed(
  tx: Queryable,
  { claim, environment }: { claim: Claim; environment: string | null },
  gap: Gap,
  info: UpdateInfo,
): Promise<void> {
  const { integrationId, id: itemId } = claim;
  const webhook = gapWebhook({ integrationId, itemId, environment }, gap);
  await append(tx, [webhook]);
  await markServed(tx, [webhook.id], info);
}
