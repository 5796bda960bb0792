/**
 * Decides about the webhooks that Plaid says it sent to the intake:
 *
 *   open ── the journal has it ──────────────────────────────────────▶ received
 *     │ ── failed for good, or delivered and yet not in the journal ──▶ recovered: journaled as RECONCILER, with Plaid's payload
 *     │      └─ its item is not linked, has ended, or was linked or repaired since ▶ not_needed: nothing is missed
 *     └── Plaid still tries, or delivered it within the last minutes, or one that is alike waits unproven ─▶ open
 *
 * Plaid's bodies carry no id, so a webhook is found by its type, its code, what it is about and the instant of its attempt. A webhook of the
 * journal stands for one of Plaid's at most: where two are alike and one arrived, the other is missed.
 */
import type { Database, Queryable } from "../database/types.ts";
import { append } from "../journal/append.ts";
import { newUuid } from "../model/ids.ts";
import type { NewWebhook } from "../model/webhook.ts";
import { parseBody, storableText } from "../plaid/webhooks.ts";
import { CANDIDATES, DECIDE, NEEDED, TO_DECIDE, UNPROVEN } from "./sent-queries.ts";
import { supersededBy } from "./superseded.ts";

/** Small, so that the transaction is short. */
const AT_ONCE = 100;

interface Undecided {
  message_id: string;
  webhook_type: string;
  webhook_code: string;
  item_id: string | null;
  subject_kind: string | null;
  subject_id: string | null;
  status: "DELIVERED" | "FAILED";
  sent_at: Date;
  last_attempt_at: Date | null;
  payload: string | null;
  /** so long ago that it must be in the journal if it arrived */
  over: boolean;
}

export interface SettleOptions {
  /** webhooks are deleted from the journal after so many days; 0: never */
  journalRetentionDays: number;
  /** a webhook that was delivered less than this ago may still be on its way into the journal */
  graceMs: number;
}

/** Decides about all webhooks of an integration that can be decided. @returns how many were journaled because they never arrived */
export async function settleSent(database: Database, integrationId: string, options: SettleOptions): Promise<number> {
  let behind: [string, boolean, Date | string, string] = ["", false, "-infinity", ""];
  let recovered = 0;
  for (;;) {
    const { rows, missed } = await database.transaction(async (tx) => {
      const { rows } = await tx.query<Undecided>(TO_DECIDE, [integrationId, ...behind, AT_ONCE, options.graceMs]);
      return { rows, missed: rows.length === 0 ? 0 : await decide(tx, integrationId, rows, options) };
    });
    recovered += missed;
    const last = rows.at(-1);
    if (last === undefined || rows.length < AT_ONCE) return recovered;
    behind = [last.status, last.last_attempt_at === null, last.sent_at, last.message_id];
  }
}

interface Decided {
  messageId: string;
  outcome: "received" | "recovered" | "not_needed";
  webhookId: string | null;
}

async function decide(
  tx: Queryable,
  integrationId: string,
  rows: readonly Undecided[],
  { journalRetentionDays }: SettleOptions,
): Promise<number> {
  const places = JSON.stringify(rows.map(facts));
  // Before the journal: one that is proven meanwhile is found there.
  const waiting = (await tx.query<{ place: number }>(UNPROVEN, [integrationId, places])).rows;
  const mayCome = new Set(waiting.map(({ place }) => place));
  const received = await findReceived(tx, integrationId, places);
  const missing = rows.flatMap((row, place) =>
    received.has(place) || mayCome.has(place) || !row.over ? [] : [{ row, place }],
  );
  const needed =
    missing.length === 0
      ? []
      : (await tx.query<{ place: number }>(NEEDED, [integrationId, places, journalRetentionDays])).rows;
  const isNeeded = new Set(needed.map(({ place }) => place));
  const webhooks = webhooksOf(
    integrationId,
    missing.flatMap(({ row, place }) => (isNeeded.has(place) ? [row] : [])),
  );
  await append(
    tx,
    webhooks.map(({ webhook }) => webhook),
  );
  const decided: Decided[] = [
    ...[...received].map(([place, webhookId]) => ({
      messageId: rows[place]?.message_id ?? "",
      outcome: "received" as const,
      webhookId,
    })),
    ...webhooks.map(({ messageId, webhook: { id } }) => ({ messageId, outcome: "recovered" as const, webhookId: id })),
    ...missing.flatMap(({ row, place }) =>
      isNeeded.has(place) ? [] : [{ messageId: row.message_id, outcome: "not_needed" as const, webhookId: null }],
    ),
  ];
  await tx.query(DECIDE, [
    integrationId,
    decided.map(({ messageId }) => messageId),
    decided.map(({ outcome }) => outcome),
    decided.map(({ webhookId }) => webhookId),
  ]);
  return webhooks.length;
}

/**
 * Place → the webhook of the journal. Each takes the nearest that no earlier one took. The statement names ten for each; where others
 * took all of these, it is asked again without them.
 */
async function findReceived(
  tx: Queryable,
  integrationId: string,
  places: string,
): Promise<ReadonlyMap<number, string>> {
  const taken = new Map<number, string>();
  const ids = new Set<string>();
  for (;;) {
    type Candidate = { place: number; id: string };
    const values = [integrationId, places, [...taken.keys()], [...ids]];
    const { rows } = await tx.query<Candidate>(CANDIDATES, values);
    if (rows.length === 0) return taken;
    for (const { place, id } of rows) {
      if (taken.has(place) || ids.has(id)) continue;
      taken.set(place, id);
      ids.add(id);
    }
  }
}

/** What the statements need of a webhook. */
function facts({ payload: _payload, ...row }: Undecided, place: number): object {
  const { codes: later_codes, session: later_session } = supersededBy(row.webhook_type, row.webhook_code);
  return { ...row, place, later_codes, later_session };
}

/** The webhooks for the journal, in the order in which Plaid sent them: a repair that follows a warning must stay behind it. */
function webhooksOf(integrationId: string, rows: readonly Undecided[]): { messageId: string; webhook: NewWebhook }[] {
  const first = Date.now() - rows.length;
  return rows
    .toSorted((a, b) => a.sent_at.getTime() - b.sent_at.getTime())
    .map((row, n) => ({ messageId: row.message_id, webhook: webhookOf(integrationId, row, new Date(first + n)) }));
}

function webhookOf(integrationId: string, row: Undecided, receivedAt: Date): NewWebhook {
  const { webhook_type, webhook_code, item_id, subject_kind: kind, subject_id: id, payload } = row;
  const body = Buffer.from(payload ?? JSON.stringify({ webhook_type, webhook_code, item_id }));
  return {
    id: newUuid(receivedAt),
    integrationId,
    source: "RECONCILER",
    subject: kind === null || id === null ? null : { kind, id },
    itemId: item_id,
    webhookType: webhook_type,
    webhookCode: webhook_code,
    environment: storableText(parseBody(body)?.["environment"]),
    receivedAt,
    sentAt: row.sent_at,
    body,
    proof: null,
  };
}
