/** Creates backfills and checks of many items: kinds/backfill.ts and kinds/check.ts say what is done with each. */
import type { Database, Queryable } from "../database/types.ts";
import { listIntegrations } from "../integrations/integrations.ts";
import type { Change } from "../model/change.ts";
import { validate, type ValidationErrors } from "../model/validation.ts";
import { refuseDisabled } from "../sync/refuse-disabled.ts";
import { expectChosen } from "./chosen.ts";
import { createFleetJob, type FleetJob, type Members } from "./jobs.ts";
import { ITEMS, ITEMS_WITH_WEBHOOKS } from "./kinds/reading-queries.ts";
import { countMembers, MEMBERS_MAX } from "./queries.ts";
import { BackfillRequest, CheckRequest } from "./reading.schema.ts";

/** Items that a job would be about; none was created. */
export interface ReadingCount {
  count: number;
}

type Request = Omit<BackfillRequest, "mode">;

/**
 * Creates a backfill, or only counts its items.
 * @throws TartanError `invalid_request`, `not_found` (the integration, an item), `not_enabled`, and what `createFleetJob` throws
 */
export async function createBackfill(
  database: Database,
  request: BackfillRequest,
  by: Change,
): Promise<FleetJob | ReadingCount> {
  const { errors } = validate(BackfillRequest, request);
  const { mode = "plaid", from, to, resources } = request;
  if (CHOICES.every((name) => request[name] === undefined))
    errors.add("integration_id", "must say which items, or else user_id, item_ids or from");
  if (mode === "webhooks" && from === undefined)
    errors.add("from", "is missing: since when were the webhooks received?");
  if (mode === "webhooks" && resources !== undefined) errors.add("resources", "belong to the mode plaid");
  if (from === undefined && to !== undefined) errors.add("from", "is missing: to needs it");
  checkRange(errors, from, to);
  errors.throwIfAny("backfill");
  return await create(database, { kind: "backfill", request, asked: { mode } }, by);
}

const CHOICES = ["integration_id", "user_id", "item_ids", "from"] as const;

function checkRange(errors: ValidationErrors, from: string | undefined, to: string | undefined): void {
  if (from !== undefined && to !== undefined && Date.parse(from) >= Date.parse(to))
    errors.add("to", "must be later than from");
}

/**
 * Creates a check of all linked items, or of those that are chosen; or only counts them.
 * @throws TartanError as createBackfill
 */
export async function createCheck(
  database: Database,
  request: CheckRequest,
  by: Change,
): Promise<FleetJob | ReadingCount> {
  validate(CheckRequest, request).errors.throwIfAny("check");
  return await create(database, { kind: "check", request, asked: {} }, by);
}

interface Wanted {
  kind: "backfill" | "check";
  request: Request;
  asked: Record<string, unknown>;
}

async function create(
  database: Database,
  { kind, request, asked }: Wanted,
  by: Change,
): Promise<FleetJob | ReadingCount> {
  const { per_minute: perMinute, dry_run, reason: _reason, ...rest } = request;
  const { integration_id, resources } = rest;
  await expectChosen(database, rest);
  if (resources !== undefined) await refuseDisabled(database, await among(database, integration_id), "item", resources);
  const members = membersOf(request);
  if (dry_run === true) return await counted(database, members);
  const integrationId = integration_id ?? null;
  return await createFleetJob(database, { kind, integrationId, asked: { ...rest, ...asked }, perMinute, members }, by);
}

const among = async (q: Queryable, id: string | undefined): Promise<string[]> =>
  id === undefined ? (await listIntegrations(q)).map((each) => each.id) : [id];

function membersOf({ integration_id, user_id, item_ids, from, to }: Request): Members {
  const chosen = [integration_id ?? null, user_id ?? null, item_ids ?? null, "{}"];
  if (from === undefined) return { text: ITEMS, values: chosen };
  return { text: ITEMS_WITH_WEBHOOKS, values: [...chosen, from, to ?? new Date().toISOString()] };
}

async function counted(database: Database, { text, values }: Members): Promise<ReadingCount> {
  return await database.transaction(async (tx: Queryable) => {
    const { rows } = await tx.query<ReadingCount>(countMembers(text), values);
    return { count: Math.min(rows[0]?.count ?? 0, MEMBERS_MAX) };
  }, "long");
}
