/**
 * Listeners: URLs to which another system posts the logins of your users, each with a token of its own. Postgres stores only the
 * token's SHA-256; the token is random, or as long as you choose, and is shown once.
 */
import { hash, randomBytes } from "node:crypto";
import { audit } from "../audit/audit.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { holdIntegration } from "../integrations/items.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { newListenerId } from "../model/ids.ts";
import { checked } from "../model/validation.ts";
import {
  ListenerChange,
  LOGIN_EVENTS,
  NewListener,
  TokenRotation,
  USUAL_THROTTLE_S,
  type Kind,
} from "./listener.schema.ts";
import { DELETE, FORGET_OF_INTEGRATION, GET, INSERT, LIST, LOCK, SET_TOKEN, UPDATE } from "./queries.ts";

/** A listener without its token; instants are ISO 8601. */
export interface Listener {
  id: string;
  kind: Kind;
  name: string;
  /** null: a login concerns the user's items of all integrations */
  integration_id: string | null;
  throttle_s: number;
  /** empty for a generic listener */
  event_types: string[];
  cut_prefix: string | null;
  /** counted since its creation */
  counts: { logins: number; events_ignored: number; unknown_users: number; webhooks: number; items_fresh: number };
  last_received_at: string | null;
  created_at: string;
  updated_at: string;
}

type Instant = "last_received_at" | "created_at" | "updated_at";
type Row = Omit<Listener, "counts" | Instant> & Listener["counts"] & Record<Instant, Date | null>;

function publicShape({ logins, events_ignored, unknown_users, webhooks, items_fresh, ...row }: Row): Listener {
  return {
    ...row,
    counts: { logins, events_ignored, unknown_users, webhooks, items_fresh },
    last_received_at: row.last_received_at?.toISOString() ?? null,
    created_at: row.created_at?.toISOString() ?? "",
    updated_at: row.updated_at?.toISOString() ?? "",
  };
}

const newToken = (): string => `lst_${randomBytes(32).toString("base64url")}`;

export const hashOf = (token: string): Buffer => hash("sha256", token, "buffer");

const noListener = (id: string): TartanError =>
  new TartanError("not_found", `There is no listener ${id}.`, { fields: { id: "names no listener" } });

function one(rows: readonly Row[], id: string): Listener {
  const [row] = rows;
  if (!row) throw noListener(id);
  return publicShape(row);
}

/** The URL to which its sender posts. */
export const listenerUrl = (publicUrl: string, id: string): string =>
  `${publicUrl.replace(/\/+$/, "")}/v1/listeners/${id}`;

/**
 * @returns the listener, and its token, which nothing shows again
 * @throws TartanError `invalid_request` naming each invalid field, `not_found` (integration)
 */
export async function createListener(
  database: Database,
  given: NewListener,
  by: Change = BY_TARTAN,
): Promise<Listener & { token: string }> {
  const input = checked(NewListener, given, "listener");
  const { kind, integration_id = null, token = newToken() } = input;
  if (kind === "generic" && input.event_types !== undefined) throw noEventTypes();
  const id = newListenerId();
  return await database.transaction(async (tx) => {
    if (integration_id !== null) await holdIntegration(tx, integration_id);
    const { rows } = await tx.query<Row>(INSERT, [
      id,
      kind,
      input.name ?? `Logins from ${kind === "auth0" ? "Auth0" : "your system"}`,
      integration_id,
      hashOf(token),
      input.throttle_s ?? USUAL_THROTTLE_S,
      kind === "auth0" ? (input.event_types ?? LOGIN_EVENTS) : [],
      input.cut_prefix ?? null,
    ]);
    await audit(tx, by, { action: "listener.created", ...about(id, integration_id), details: { kind } });
    return { ...one(rows, id), token };
  });
}

const noEventTypes = (): TartanError =>
  new TartanError("invalid_request", "The listener is not usable: event_types is for auth0 listeners.", {
    fields: { event_types: "is for auth0 listeners; to a generic one, each entry is a login" },
  });

const about = (id: string, integrationId: string | null) => ({
  target: id,
  ...(integrationId !== null && { integrationId }),
});

/** All listeners, oldest first. */
export const listListeners = async (q: Queryable): Promise<Listener[]> =>
  (await q.query<Row>(LIST)).rows.map(publicShape);

/** @throws TartanError `not_found` */
export const getListener = async (q: Queryable, id: string): Promise<Listener> =>
  one((await q.query<Row>(GET, [id])).rows, id);

/**
 * Changes the given settings and leaves the rest.
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function updateListener(
  database: Database,
  id: string,
  given: ListenerChange,
  by: Change = BY_TARTAN,
): Promise<Listener> {
  const changes = checked(ListenerChange, given, "listener");
  const { name, throttle_s, event_types, cut_prefix } = changes;
  return await database.transaction(async (tx) => {
    const before = one((await tx.query<Row>(LOCK, [id])).rows, id);
    if (before.kind === "generic" && event_types !== undefined) throw noEventTypes();
    const values = [
      id,
      name ?? null,
      throttle_s ?? null,
      event_types ?? null,
      cut_prefix !== undefined,
      cut_prefix ?? null,
    ];
    const { rows } = await tx.query<Row>(UPDATE, values);
    const fields = Object.entries(changes).flatMap(([field, value]) => (value === undefined ? [] : [field]));
    if (fields.length > 0)
      await audit(tx, by, { action: "listener.changed", ...about(id, before.integration_id), details: { fields } });
    return one(rows, id);
  });
}

/**
 * Replaces the token; the old one stops working at once.
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function rotateListenerToken(
  database: Database,
  id: string,
  given: { token?: string | undefined } = {},
  by: Change = BY_TARTAN,
): Promise<Listener & { token: string }> {
  const { token = newToken() } = checked(TokenRotation, given, "listener");
  return await database.transaction(async (tx) => {
    const listener = one((await tx.query<Row>(SET_TOKEN, [id, hashOf(token)])).rows, id);
    await audit(tx, by, { action: "listener.rotated", ...about(id, listener.integration_id) });
    return { ...listener, token };
  });
}

/** @throws TartanError `not_found` */
export async function deleteListener(database: Database, id: string, by: Change = BY_TARTAN): Promise<void> {
  await database.transaction(async (tx) => {
    const { rows } = await tx.query<{ integration_id: string | null; name: string }>(DELETE, [id]);
    const [gone] = rows;
    if (!gone) throw noListener(id);
    await audit(tx, by, {
      action: "listener.deleted",
      ...about(id, gone.integration_id),
      details: { name: gone.name },
    });
  });
}

/** Deletes the listeners of an integration; those of all integrations stay. */
export async function forgetListeners(q: Queryable, integrationId: string): Promise<void> {
  await q.query(FORGET_OF_INTEGRATION, [integrationId]);
}
