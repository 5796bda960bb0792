/**
 * Destinations: where events are sent, and what signs them. What is secret (header values, signing secrets) is sealed, and
 * shown once if it was made here. The processes that deliver hear of every change by NOTIFY `tartan_relay`.
 *
 *   active ⇄ paused       by hand
 *   active ⇄ disabled     by hand, by a receiver that is gone or asks for it, or after nothing but failures; back by hand
 *
 * Whatever is not active is held: its deliveries wait.
 */
import { patient } from "../../database/pool.ts";
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { AWAIT_RELAY } from "../../integrations/queries.ts";
import { beginSealing } from "../../integrations/sealing.ts";
import { destinationHeaders } from "../../integrations/sealed.ts";
import type { Vault } from "../../integrations/vault.ts";
import {
  checkDestinationChange,
  checkNewDestination,
  DEFAULT_WINDOW_MS,
  type DestinationChange,
  type DestinationSettings,
  type NewDestination,
  type UrlRules,
} from "./destination-validation.ts";
import { newDestinationId } from "../../model/ids.ts";
import {
  CANCEL_ITS_DELIVERIES,
  CANCEL_ITS_JOBS,
  DELETE_DESTINATION,
  DELETE_ITS_ROUTES,
  DELETE_KEYS,
  DISABLE_BY_HAND,
  ENABLE,
  FORGIVE,
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
import { addKey, type SigningKey } from "./signing-keys.ts";
import type { Ordering } from "../model/types.ts";

export type { DestinationChange, NewDestination, UrlRules } from "./destination-validation.ts";
export { openDestinations } from "./load-destinations.ts";
export { listSigningKeys, rotateSigningKey, type KeyRotation, type SigningKey } from "./signing-keys.ts";

export interface DestinationDeps {
  database: Database;
  vault: Vault;
  urls: UrlRules;
}

/** What may be shown of a destination; instants are ISO 8601. */
export interface DestinationState {
  id: string;
  name: string;
  description: string;
  url: string;
  /** in lower case; their values are never shown */
  header_names: string[];
  has_ca: boolean;
  timeout_ms: number;
  schedule: number[];
  rate_limit: { count: number; window_ms: number } | null;
  concurrency: number;
  ordering: Ordering;
  disable_after_s: number;
  status: "active" | "paused" | "disabled";
  disabled_reason: string | null;
  breaker: "closed" | "open" | "half_open";
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

const notFound = (id: string): TartanError =>
  new TartanError("not_found", `There is no destination ${id}.`, { fields: { id: "names no destination" } });

/**
 * Stores a new destination; it is active at once.
 * @returns it with the secret that signs, which nothing shows again
 * @throws TartanError `invalid_request` naming each field at fault
 */
export async function createDestination(
  { database, vault, urls }: DestinationDeps,
  wish: NewDestination,
): Promise<DestinationState & { signing_secret: string }> {
  checkNewDestination(wish, urls);
  const id = newDestinationId();
  return await database.transaction(async (tx) => {
    await beginSealing(tx, vault);
    const { signing_scheme = "v1", signing_secret, ...given } = wish;
    const settings = settingsOf(vault, id, given);
    await tx.query(insertDestination([...settings.keys()]), [id, ...settings.values()]);
    await tx.query(INSERT_HEALTH, [id]);
    const { secret } = await addKey(tx, vault, id, signing_scheme, signing_secret);
    await tx.query(NOTIFY_RELAY);
    return { ...(await existing(tx, id)), signing_secret: secret };
  });
}

/** All destinations that were not deleted, oldest first. */
export async function listDestinations(q: Queryable): Promise<DestinationState[]> {
  return (await q.query<Row>(LIST_DESTINATIONS)).rows.map(publicShape);
}

export async function getDestination(q: Queryable, id: string): Promise<DestinationState | null> {
  const { rows } = await q.query<Row>(GET_DESTINATION, [id]);
  return rows[0] ? publicShape(rows[0]) : null;
}

async function existing(q: Queryable, id: string): Promise<DestinationState> {
  const found = await getDestination(q, id);
  if (!found) throw notFound(id);
  return found;
}

/**
 * Changes what is given and leaves the rest. What waits already is sent by the new settings, with the bytes that it has.
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function updateDestination(
  { database, vault, urls }: DestinationDeps,
  id: string,
  change: DestinationChange,
): Promise<DestinationState> {
  checkDestinationChange(change, urls);
  return await database.transaction(async (tx) => {
    await beginSealing(tx, vault);
    const settings = settingsOf(vault, id, change);
    if (settings.size > 0) {
      const statement = updateStatement([...settings.keys()]);
      if ((await tx.query(statement, [id, ...settings.values()])).rowCount === 0) throw notFound(id);
      await tx.query(NOTIFY_RELAY);
    }
    return await existing(tx, id);
  });
}

/** Columns and values of what is given. */
function settingsOf(vault: Vault, id: string, given: Partial<DestinationSettings>): Map<Setting, unknown> {
  const { url, headers, rate_limit: rate, schedule, ...others } = given;
  const settings = new Map<Setting, unknown>();
  for (const [name, value] of Object.entries(others)) if (value !== undefined) settings.set(name as Setting, value);
  if (url !== undefined) settings.set("url", new URL(url).href);
  if (schedule !== undefined) settings.set("schedule", [...schedule]);
  if (rate !== undefined) {
    settings.set("rate_limit", rate?.count ?? null);
    settings.set("rate_window_ms", rate?.window_ms ?? DEFAULT_WINDOW_MS);
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

/**
 * Ends it: its secrets are wiped and its routes deleted, jobs on it and deliveries that wait are cancelled. What it was sent
 * stays in the list of deliveries. One that was cut short is simply repeated.
 * @throws TartanError `not_found`
 */
export async function deleteDestination(database: Database, id: string): Promise<void> {
  const deleted = await database.transaction(async (tx) => {
    if ((await tx.query(DELETE_DESTINATION, [id])).rowCount === 0) return false;
    for (const statement of [DELETE_KEYS, DELETE_ITS_ROUTES, CANCEL_ITS_JOBS]) await tx.query(statement, [id]);
    await tx.query(NOTIFY_RELAY);
    return true;
  });
  // What is under way may not have seen the deletion; what begins later does.
  await patient(database).query(AWAIT_RELAY);
  const cancelled = await cancelRest(database, id);
  if (!deleted && !cancelled) throw notFound(id);
}

async function cancelRest(database: Database, id: string): Promise<boolean> {
  let found = false;
  while ((await database.query(CANCEL_ITS_DELIVERIES, [id])).rowCount > 0) found = true;
  return found;
}

/** Holds it until it is resumed. @throws TartanError `not_found` */
export const pauseDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, PAUSE, false);

/** What waited is sent, in its order. @throws TartanError `not_found` */
export const resumeDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, RESUME, true);

/** Ends its being disabled; what waited is sent, in its order. @throws TartanError `not_found` */
export const enableDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, ENABLE, true);

/** Holds it until it is enabled. @throws TartanError `not_found` */
export const disableDestination = (database: Database, id: string): Promise<DestinationState> =>
  turn(database, id, DISABLE_BY_HAND, false);

/** Changes its state; where it is as it should be already, nothing is done. */
async function turn(database: Database, id: string, statement: string, forgive: boolean): Promise<DestinationState> {
  return await database.transaction(async (tx) => {
    if ((await tx.query(HOLD_DESTINATION, [id])).rowCount === 0) throw notFound(id);
    if ((await tx.query(statement, [id])).rowCount > 0) {
      if (forgive) await tx.query(FORGIVE, [id]);
      await tx.query(NOTIFY_RELAY);
    }
    return await existing(tx, id);
  });
}
