/** Creates moves of webhook URLs, and plans them: kinds/webhook-move.ts moves each item. */
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { integrationUrl, listIntegrations } from "../integrations/integrations.ts";
import type { Change } from "../model/change.ts";
import { validate } from "../model/validation.ts";
import { expectChosen } from "./chosen.ts";
import { createFleetJob, getFleetJob, isHeld, noJob, type FleetJob, type Members } from "./jobs.ts";
import { ITEMS_TO_MOVE, ITEMS_TO_ROLL_BACK, planOf } from "./kinds/webhook-move-queries.ts";
import { CHOICES, TARGETS, WebhookMoveRequest } from "./webhook-move.schema.ts";

/** What a move would do, as far as the mirror knows the present URLs; Plaid is asked for each when it is moved. */
export interface MovePlan {
  /** items that it is about */
  count: number;
  /** items that have the URL already */
  unchanged: number;
  /** the largest groups of items; a URL of null is none */
  groups: { from: string | null; from_known: boolean; to: string | null; items: number }[];
}

/**
 * Creates the job, or only plans it.
 * @param publicUrl the start of Tartan's intake URLs
 * @throws TartanError `invalid_request`, `not_found` (the integration, an item, the move to roll back), and what `createFleetJob` throws
 */
export async function createWebhookMove(
  database: Database,
  request: WebhookMoveRequest,
  { publicUrl, by }: { publicUrl: string; by: Change },
): Promise<FleetJob | MovePlan> {
  check(request);
  await expectChosen(database, request);
  if (request.to_intake) await expectReachable(database, request.integration_id, publicUrl);
  const { roll_back, integration_id, per_minute: perMinute, dry_run, reason: _reason, ...rest } = request;
  const members = roll_back === undefined ? chosen(request, publicUrl) : await formerOf(database, roll_back);
  if (dry_run === true) return await planned(database, members);
  const asked = {
    ...rest,
    ...(roll_back !== undefined && { roll_back }),
    ...(integration_id !== undefined && { integration_id }),
  };
  const job = { kind: "webhook_move" as const, integrationId: integration_id ?? null, asked, perMinute, members };
  return await createFleetJob(database, job, by);
}

function check(request: WebhookMoveRequest): void {
  const { errors } = validate(WebhookMoveRequest, request);
  const targets = TARGETS.filter((name) => request[name] !== undefined);
  if (targets.length !== 1) errors.add(targets[1] ?? "to", "give one of to, to_intake, remove and roll_back");
  const choices = CHOICES.filter((name) => request[name] !== undefined);
  if (targets[0] === "roll_back" && choices[0]) errors.add(choices[0], "a roll-back is about all items of its move");
  errors.throwIfAny("move");
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/;
const isLoopback = (url: string): boolean => LOOPBACK.test(new URL(url).hostname);

/** Without TARTAN_PUBLIC_URL the intake's URL is one of this machine, which only a simulator on it reaches. */
async function expectReachable(q: Queryable, integrationId: string | undefined, publicUrl: string): Promise<void> {
  if (!isLoopback(publicUrl)) return;
  const integrations = await listIntegrations(q);
  const far = integrations.find(
    ({ id, plaid_url }) => (integrationId === undefined || id === integrationId) && !isLoopback(plaid_url),
  );
  if (far === undefined) return;
  throw new TartanError(
    "invalid_request",
    `Plaid cannot reach ${publicUrl}. Set TARTAN_PUBLIC_URL to the URL at which Plaid reaches Tartan, and restart the server.`,
    { fields: { to_intake: `needs TARTAN_PUBLIC_URL, since the Plaid of ${far.id} is not on this machine` } },
  );
}

function chosen(
  { to, to_intake, integration_id, user_id, item_ids, from }: WebhookMoveRequest,
  publicUrl: string,
): Members {
  // integrationUrl adds the path and the integration's id; the statement adds them for each item.
  const base = integrationUrl(publicUrl, "").replace(/\/v1\/integrations\/$/, "");
  const target = to_intake ? ["intake", base] : to === undefined ? ["none", null] : ["url", to];
  const choice = [integration_id ?? null, user_id ?? null, item_ids ?? null, from ?? null];
  return { text: ITEMS_TO_MOVE, values: [...choice, ...target] };
}

async function formerOf(q: Queryable, id: string): Promise<Members> {
  const job = await getFleetJob(q, id);
  if (job?.kind !== "webhook_move") throw noJob(id);
  if (job.status !== "done" && job.status !== "cancelled")
    throw new TartanError("conflict", `Job ${id} is ${job.status}; cancel it before you roll it back.`);
  // A request that is under way may still move an item, which the roll-back would not know of.
  if (await isHeld(q, id))
    throw new TartanError(
      "conflict",
      `Requests of job ${id} are still under way. They end within seconds; half a minute after its process was killed. Try again then.`,
    );
  return { text: ITEMS_TO_ROLL_BACK, values: [id] };
}

async function planned(database: Database, { text, values }: Members): Promise<MovePlan> {
  type Row = {
    to: string | null;
    now: string | null;
    unknown: boolean;
    items: number;
    count: number;
    unchanged: number;
  };
  const { rows } = await database.transaction((tx) => tx.query<Row>(planOf(text), values), "long");
  return {
    count: rows[0]?.count ?? 0,
    unchanged: rows[0]?.unchanged ?? 0,
    groups: rows.map(({ to, now, unknown, items }) => ({ from: now, from_known: !unknown, to, items })),
  };
}
