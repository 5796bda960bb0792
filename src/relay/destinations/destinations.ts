/**
 * Destinations: where events are sent, and which keys sign them. Secrets (header values, signing secrets) are sealed; a secret
 * that Tartan made is shown once. NOTIFY `tartan_relay` announces every change to the workers.
 *
 *   active ⇄ paused       by hand
 *   active ⇄ disabled     by hand, by a receiver that is gone or asks for it, or after days of failures only; back by hand
 *
 * The deliveries of a destination that is not active are held.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { beginSealing } from "../../integrations/sealing.ts";
import type { Vault } from "../../integrations/vault.ts";
import {
  checkDestinationChange,
  checkNewDestination,
  type DestinationChange,
  type NewDestination,
} from "./destination.schema.ts";
import type { UrlRules } from "../senders/sender.ts";
import { newDestinationId } from "../../model/ids.ts";
import type { BreakerState, DestinationStatus } from "../../model/statuses.ts";
import {
  DISABLE_BY_HAND,
  ENABLE,
  RESET_HEALTH,
  GET_DESTINATION,
  HOLD_DESTINATION,
  INSERT_HEALTH,
  insertDestination,
  LIST_DESTINATIONS,
  NOTIFY_RELAY,
  PAUSE,
  RESUME,
  type Setting,
  updateDestination as updateStatement,
} from "./queries.ts";
import { destinationNotFound } from "./deletion.ts";
import { destinationHeaders } from "./sealed.ts";
import { addKey, type SigningKey } from "./signing-keys.ts";
import type { Ordering } from "../model/types.ts";

export type { UrlRules } from "../senders/sender.ts";
export type { DestinationChange, KeyRotation, NewDestination } from "./destination.schema.ts";
export { loadDestinations } from "./load-destinations.ts";
export { listSigningKeys, rotateSigningKey, type SigningKey } from "./signing-keys.ts";

export interface DestinationDeps {
  database: Database;
  vault: Vault;
  urls: UrlRules;
}

/** A destination as the API shows it; times are ISO 8601. */
export interface DestinationState {
  id: string;
  name: string;
  description: string;
  url: string;
  /** in lower case; values are never shown */
  header_names: string[];
  has_ca: boolean;
  timeout_ms: number;
  schedule: number[];
  rate_limit: { count: number; window_ms: number } | null;
  concurrency: number;
  ordering: Ordering;
  disable_after_s: number;
  status: DestinationStatus;
  disabled_reason: string | null;
  breaker: BreakerState;
  hold_until: string | null;
  failures: number;
  failing_since: string | null;
  last_success_at: string | null;
  last_failure_at: string | null;
  last_error: string | null;
  /** deliveries that wait, counted up to 10,001 */
  scheduled: number;
  oldest_due_at: string | null;
  /** dead letters, counted up to 10,001 */
  dead: number;
  /** those that sign, newest first */
  keys: SigningKey[];
  version: number;
  created_at: string;
  updated_at: string;
}

type Instant =
  | "hold_until"
  | "failing_since"
  | "last_success_at"
  | "last_failure_at"
  | "oldest_due_at"
  | "created_at"
  | "updated_at";
type Row = Omit<DestinationState, Instant> & { [K in Instant]: Date | null };

const iso = (instant: Date | string | null): string | null =>
  instant === null ? null : new Date(instant).toISOString();

function publicShape(row: Row): DestinationState {
  const { hold_until, failing_since, last_success_at, last_failure_at, oldest_due_at, created_at, updated_at } = row;
  return {
    ...row,
    hold_until: iso(hold_until),
    failing_since: iso(failing_since),
    last_success_at: iso(last_success_at),
    last_failure_at: iso(last_failure_at),
    oldest_due_at: iso(oldest_due_at),
    keys: row.keys.map((key) => ({ ...key, created_at: iso(key.created_at) ?? "", expires_at: iso(key.expires_at) })),
    created_at: iso(created_at) ?? "",
    updated_at: iso(updated_at) ?? "",
  };
}

/**
 * Creates a destination, which is active at once.
 * @returns it with its signing secret, which is never shown again
 * @throws TartanError `invalid_request` naming each field that has an error
 */
export async function createDestination(
  { database, vault, urls }: DestinationDeps,
  given: NewDestination,
): Promise<DestinationState & { signing_secret: string }> {
  const { signing_scheme, signing_secret, ...others } = checkNewDestination(given, urls);
  const id = newDestinationId();
  return await database.transaction(async (tx) => {
    await beginSealing(tx, vault);
    const settings = settingsOf(vault, id, others);
    await tx.query(insertDestination([...settings.keys()]), [id, ...settings.values()]);
    await tx.query(INSERT_HEALTH, [id]);
    const { secret } = await addKey(tx, vault, id, signing_scheme, signing_secret);
    await tx.query(NOTIFY_RELAY);
    return { ...(await existing(tx, id)), signing_secret: secret };
  });
}

/** All destinations, oldest first. */
export async function listDestinations(q: Queryable): Promise<DestinationState[]> {
  return (await q.query<Row>(LIST_DESTINATIONS)).rows.map(publicShape);
}

export async function getDestination(q: Queryable, id: string): Promise<DestinationState | null> {
  const { rows } = await q.query<Row>(GET_DESTINATION, [id]);
  return rows[0] ? publicShape(rows[0]) : null;
}

async function existing(q: Queryable, id: string): Promise<DestinationState> {
  const found = await getDestination(q, id);
  if (!found) throw destinationNotFound(id);
  return found;
}

/**
 * Changes the given settings. Deliveries that wait are sent with the new settings and the body that they have.
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function updateDestination(
  { database, vault, urls }: DestinationDeps,
  id: string,
  given: DestinationChange,
): Promise<DestinationState> {
  const change = checkDestinationChange(given, urls);
  return await database.transaction(async (tx) => {
    await beginSealing(tx, vault);
    const settings = settingsOf(vault, id, change);
    if (settings.size > 0) {
      const statement = updateStatement([...settings.keys()]);
      if ((await tx.query(statement, [id, ...settings.values()])).rowCount === 0) throw destinationNotFound(id);
      await tx.query(NOTIFY_RELAY);
    }
    return await existing(tx, id);
  });
}

/** The columns and values of the given settings. */
function settingsOf(vault: Vault, id: string, given: ReturnType<typeof checkDestinationChange>): Map<Setting, unknown> {
  const { url, headers, rate_limit: rate, schedule, ...others } = given;
  const settings = new Map<Setting, unknown>();
  for (const [name, value] of Object.entries(others)) if (value !== undefined) settings.set(name as Setting, value);
  if (url !== undefined) settings.set("url", new URL(url).href);
  if (schedule !== undefined) settings.set("schedule", [...schedule]);
  if (rate !== undefined) {
    settings.set("rate_limit", rate?.count ?? null);
    if (rate !== null) settings.set("rate_window_ms", rate.window_ms);
  }
  if (headers !== undefined) {
    const named = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
    const sealed = vault.seal(JSON.stringify(Object.fromEntries(named)), destinationHeaders(id));
    settings.set("headers_sealed", named.length > 0 ? sealed : null);
    settings.set(
      "header_names",
      named.map(([name]) => name),
    );
  }
  return settings;
}

/** Holds its deliveries until it is resumed. @throws TartanError `not_found` */
export const pauseDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, PAUSE, false);

/** Sends the held deliveries in their order. @throws TartanError `not_found` */
export const resumeDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, RESUME, true);

/** Enables it again and sends the held deliveries in their order. @throws TartanError `not_found` */
export const enableDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, ENABLE, true);

/** Holds its deliveries until it is enabled. @throws TartanError `not_found` */
export const disableDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, DISABLE_BY_HAND, false);

/** Changes the state; does nothing where it has that state already. */
async function turn(database: Database, id: string, statement: string, reset: boolean): Promise<DestinationState> {
  return await database.transaction(async (tx) => {
    if ((await tx.query(HOLD_DESTINATION, [id])).rowCount === 0) throw destinationNotFound(id);
    if ((await tx.query(statement, [id])).rowCount > 0) {
      if (reset) await tx.query(RESET_HEALTH, [id]);
      await tx.query(NOTIFY_RELAY);
    }
    return await existing(tx, id);
  });
}
