/** Full checks as users ask for them and see them. full-check.ts says what a run does for one. */
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { checked } from "../model/validation.ts";
import type { ItemStatus } from "../model/statuses.ts";
import { EVERYTHING_AGAIN } from "../model/webhook.ts";
import { explain } from "../plaid/reasons.ts";
import { FULL_CHECK, type CheckedResource, type FullCheckResult } from "./full-check.ts";
import { BEGIN_FULL_CHECK, FORGET_DIFFERENCES, GET_FULL_CHECKS } from "./full-check-queries.ts";
import { FullCheckRequest } from "./item.schema.ts";
import { markDue } from "./marks.ts";
import { refuseDisabled } from "./refuse-disabled.ts";

export const FULL_CHECK_STATUSES = ["running", "equal", "differs", "unproven"] as const;
export type FullCheckStatus = (typeof FULL_CHECK_STATUSES)[number];

/** A full check as it may be shown; instants are ISO 8601. */
export interface FullCheckState {
  item_id: string;
  integration_id: string;
  status: FullCheckStatus;
  requested_at: string;
  finished_at: string | null;
  /** rows that differed although Plaid had not changed them; healed by now */
  wrong: number;
  may_be_new: number;
  resources: (CheckedResource & { resource: string })[];
  differences: FullCheckResult["differences"];
  /** why it could not be proven, or why it waits */
  error_code: string | null;
  error_message: string | null;
  next_step: string | null;
}

interface Which {
  integrationId: string;
  itemId: string;
}

/**
 * Requests a full check of a linked item; a check that is under way begins anew.
 * @throws TartanError `not_found`; `invalid_request`; `not_enabled` for a resource that is billed and not enabled
 */
export async function requestFullCheck(
  database: Database,
  { integrationId, itemId }: Which,
  request: FullCheckRequest = {},
): Promise<FullCheckState> {
  const { resources } = checked(FullCheckRequest, request, "request");
  await refuseDisabled(database, [integrationId], "item", resources);
  return await database.transaction(async (tx) => {
    await beginFullChecks(tx, [{ integrationId, itemId }], resources);
    const state = await getFullCheck(tx, { integrationId, itemId });
    if (state) return state;
    throw new TartanError("not_found", `There is no linked item ${itemId}.`, {
      fields: { item_id: "names no item that is linked" },
    });
  });
}

const LINKED = `select integration_id as "integrationId", item_id as "itemId" from tartan.items
  join unnest($1::text[], $2::text[]) as k (integration_id, item_id) using (integration_id, item_id)
  where access_token_sealed is not null order by 1, 2`;

/** Makes the items among these that are linked due for a full check, in the caller's transaction. */
export async function beginFullChecks(tx: Queryable, items: readonly Which[], resources?: readonly string[]) {
  const values = [items.map(({ integrationId }) => integrationId), items.map(({ itemId }) => itemId)];
  const { rows: linked } = await tx.query<Which>(LINKED, values);
  const requested = [...(resources?.map((name) => `${name}:full`) ?? [EVERYTHING_AGAIN]), FULL_CHECK];
  // The subject is locked before its check, as every run does.
  await markDue(
    tx,
    linked.map(({ integrationId, itemId }) => ({ integrationId, kind: "item", id: itemId, requested })),
  );
  for (const { integrationId, itemId } of linked) await tx.query(BEGIN_FULL_CHECK, [integrationId, itemId]);
  return linked;
}

const AT_ONCE = 1000;

/** Forgets what checks of the integration name of a resource that is hidden from now on, in parts. */
export async function forgetDifferences(q: Queryable, integrationId: string, resource: string): Promise<void> {
  for (let rows = AT_ONCE; rows === AT_ONCE;)
    rows = (await q.query(FORGET_DIFFERENCES, [integrationId, resource, AT_ONCE])).rowCount;
}

interface Row {
  requested_at: Date;
  finished_at: Date | null;
  result: FullCheckResult;
  status: ItemStatus | null;
  last_error: { error_type?: string; error_code?: string } | null;
  requested: boolean;
}

/** The latest full check of an item, or null. */
export const getFullCheck = async (q: Queryable, which: Which): Promise<FullCheckState | null> =>
  (await getFullChecks(q, [which]))[0] ?? null;

/** The same of many items, in their order. */
export async function getFullChecks(q: Queryable, items: readonly Which[]): Promise<(FullCheckState | null)[]> {
  const values = [items.map(({ integrationId }) => integrationId), items.map(({ itemId }) => itemId)];
  const { rows } = await q.query<Row & { number: number }>(GET_FULL_CHECKS, values);
  const known = new Map(rows.map((row) => [row.number, row]));
  return items.map((which, index) => {
    const row = known.get(index + 1);
    return row ? publicShape(which, row) : null;
  });
}

function publicShape({ integrationId, itemId }: Which, row: Row): FullCheckState {
  const { resources: found, differences } = row.result;
  const resources = Object.entries(found).map(([resource, of]) => ({ resource, ...of }));
  const sum = (field: "wrong" | "may_be_new"): number => resources.reduce((total, each) => total + each[field], 0);
  const status = statusOf(row);
  return {
    item_id: itemId,
    integration_id: integrationId,
    status,
    requested_at: row.requested_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
    wrong: sum("wrong"),
    may_be_new: sum("may_be_new"),
    resources,
    differences,
    ...(status === "equal" ? NO_REASON : reasonOf(row)),
  };
}

function statusOf({ finished_at, result, requested }: Row): FullCheckStatus {
  if (finished_at === null) return requested ? "running" : "unproven";
  const outcomes = Object.values(result.resources).map(({ outcome }) => outcome);
  if (outcomes.includes("differs")) return "differs";
  return outcomes.length === 0 || outcomes.includes("failed") ? "unproven" : "equal";
}

const NO_REASON = { error_code: null, error_message: null, next_step: null };

function reasonOf({ result, last_error }: Row): Pick<FullCheckState, "error_code" | "error_message" | "next_step"> {
  const failed = Object.values(result.resources).find(({ outcome }) => outcome === "failed")?.error_code;
  const code = failed ?? last_error?.error_code ?? null;
  if (code === null) return NO_REASON;
  const { message, next_step } = explain(last_error?.error_type ?? "", code);
  return { error_code: code, error_message: message, next_step };
}
