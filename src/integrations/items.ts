/**
 * Items: what users linked, with their sealed access tokens. Linking one, journaling that it was linked, making its first
 * sync due and telling of it are one transaction: a token that was answered with success is kept and will be used.
 */
import { untilNone } from "../database/parts.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { append } from "../journal/append.ts";
import { recordEvents, type NewEvent } from "../events/events.ts";
import { newUuid, toWebhookId } from "../model/ids.ts";
import { explain } from "../plaid/reasons.ts";
import {
  BACKFILL_USER,
  DROP_TOKENS,
  FORGET_ITEM,
  GET_ITEM,
  GET_NEVER_LINKED,
  HOLD_INTEGRATION,
  LIST_ITEMS,
  PURGE_ITEMS,
  RENEW_SUBJECT,
  UNLINK_ITEM,
  UPSERT_ITEM,
} from "./queries.ts";
import { didYouMean } from "../suggest.ts";
import { checkItem } from "./rules.ts";
import { itemToken } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import { findToken } from "./tokens.ts";
import type { Vault } from "./vault.ts";

export interface NewItem {
  integration_id: string;
  item_id: string;
  access_token: string;
  /** your identifier of the user; when absent, one that was told before is kept */
  user_id?: string | undefined;
  receivedAt?: Date | undefined;
  /** what is journaled: the request's body without its access token; made up when absent */
  body?: Buffer | undefined;
}

export interface Introduced {
  webhook_id: string;
  item_id: string;
  /** false where the item was known and its token was replaced */
  created: boolean;
}

export const ITEM_STATUSES = [
  "pending",
  "ok",
  "retrying",
  "waiting",
  "needs_user",
  "ended",
  "misconfigured",
  "unlinked",
] as const;

/** How its sync stands. */
export type ItemStatus = (typeof ITEM_STATUSES)[number];

/** An item as it may be shown; instants are ISO 8601. */
export interface ItemState {
  item_id: string;
  integration_id: string;
  user_id: string | null;
  institution_id: string | null;
  institution_name: string | null;
  status: ItemStatus;
  /** Plaid's, such as ITEM_LOGIN_REQUIRED, or Tartan's own */
  error_code: string | null;
  /** what is wrong, in plain words */
  error_message: string | null;
  /** what to do about it; null also where it passes by itself */
  next_step: string | null;
  products: string[] | null;
  /** null where no token has come yet */
  linked_at: string | null;
  verified_at: string | null;
  /** whether a sync waits or runs */
  due: boolean;
  last_error: Record<string, unknown> | null;
  /** reconciliation asked Plaid then, and what differed was made due */
  checked_at: string | null;
  /** it asks again then; null where it is not planned */
  next_check_at: string | null;
  /** where Plaid sends the item's webhooks, as far as /item/get has been read */
  webhook_url: string | null;
  /** whether that is the integration's intake; null where the URL is not known */
  webhook_url_is_intake: boolean | null;
  /** rows that Plaid has; told of a single item only */
  accounts?: number;
  transactions?: number;
}

export interface ItemFilter {
  integration_id?: string | undefined;
  user_id?: string | undefined;
  status?: string | undefined;
  /** 1 to 500; 50 by default */
  limit?: number | undefined;
  cursor?: string | null | undefined;
}

type Instant = "linked_at" | "verified_at" | "checked_at" | "next_check_at";
type Made = Instant | "webhook_url_is_intake" | "error_message" | "next_step";
type Row = Omit<ItemState, Made> & Record<Instant, Date | null> & { error_type: string | null };

const publicShape = ({ error_type, ...row }: Row): ItemState => ({
  ...row,
  ...(row.error_code === null ? NO_REASON : reasonOf(error_type ?? "", row.error_code)),
  linked_at: row.linked_at?.toISOString() ?? null,
  verified_at: row.verified_at?.toISOString() ?? null,
  checked_at: row.checked_at?.toISOString() ?? null,
  next_check_at: row.next_check_at?.toISOString() ?? null,
  webhook_url_is_intake: row.webhook_url === null ? null : isIntake(row.webhook_url, row.integration_id),
});

const NO_REASON = { error_message: null, next_step: null };

function reasonOf(errorType: string, errorCode: string): Pick<ItemState, "error_message" | "next_step"> {
  const { message, next_step } = explain(errorType, errorCode);
  return { error_message: message, next_step };
}

/** By its path alone: the intake may be reached under several names. */
const isIntake = (url: string, integrationId: string): boolean =>
  URL.canParse(url) &&
  INTAKE_PATHS.some((path) => new URL(url).pathname.replace(/\/+$/, "").endsWith(`${path}/${integrationId}`));
const INTAKE_PATHS = ["/v1/integrations", "/v1/service_integrations"];

/**
 * Links an item, or replaces its token: seals and stores the token, gives the item's earlier webhooks their user,
 * journals ITEM/CREATED and makes the item due with all its resources.
 * @throws TartanError `not_found` (integration), `invalid_request` naming each field at fault
 */
export async function introduceItem(
  { database, vault }: { database: Database; vault: Vault },
  item: NewItem,
): Promise<Introduced> {
  checkItem(item);
  const receivedAt = item.receivedAt ?? new Date();
  return await database.transaction(async (tx) => {
    const environment = await holdIntegration(tx, item.integration_id);
    const key = [item.integration_id, item.item_id];
    await beginSealing(tx, vault);
    const known = await sameToken(tx, vault, item);
    const sealed = vault.seal(item.access_token, itemToken(item.integration_id, item.item_id));
    const upserted = await tx.query<{ user_id: string | null; created: boolean }>(UPSERT_ITEM, [
      ...key,
      item.user_id ?? null,
      sealed,
      known,
    ]);
    const { user_id: userId = null, created = false } = upserted.rows[0] ?? {};
    await tx.query(RENEW_SUBJECT, key);
    if (item.user_id !== undefined) await tx.query(BACKFILL_USER, [...key, item.user_id]);
    const id = newUuid(receivedAt);
    const [appended] = await append(tx, [
      {
        id,
        integrationId: item.integration_id,
        source: "BACKEND",
        subject: { kind: "item", id: item.item_id },
        itemId: item.item_id,
        userId,
        webhookType: "ITEM",
        webhookCode: "CREATED",
        environment,
        receivedAt,
        body: journaledBody(item),
        proof: null,
        wanted: ["*"],
      },
    ]);
    await recordEvents(tx, [{ ...eventOf(item, userId, environment), type: "item.linked", data: { created } }]);
    return { webhook_id: toWebhookId(appended?.id ?? id), item_id: item.item_id, created };
  });
}

/** The item's token as it is sealed now, when it is the same as the new one; else null. */
async function sameToken(tx: Queryable, vault: Vault, item: NewItem): Promise<Buffer | null> {
  try {
    const known = await findToken(tx, vault, item.integration_id, item.item_id);
    return known?.accessToken === item.access_token ? known.sealed : null;
  } catch (error) {
    // Sealed under a key that is gone: the new token is what mends it.
    if (error instanceof TartanError && error.code === "vault_unsealable") return null;
    throw error;
  }
}

type ItemEvent = Omit<NewEvent, "type" | "data">;

/** What every event of an item says. */
const eventOf = (
  { integration_id, item_id }: Pick<NewItem, "integration_id" | "item_id">,
  userId: string | null,
  environment: string | null,
): ItemEvent => ({ integrationId: integration_id, itemId: item_id, userId, environment });

async function holdIntegration(tx: Queryable, id: string): Promise<string> {
  const { rows } = await tx.query<{ environment: string }>(HOLD_INTEGRATION, [id]);
  if (rows[0]) return rows[0].environment;
  throw new TartanError("not_found", `There is no integration ${id}.`, {
    fields: { integration_id: "names no integration" },
  });
}

/** The body as it came, unless the token is still in it. */
function journaledBody({ body, item_id, user_id, access_token }: NewItem): Buffer {
  if (body && !body.includes(access_token)) return body;
  const told = { webhook_type: "ITEM", webhook_code: "CREATED", item_id, ...(user_id !== undefined && { user_id }) };
  return Buffer.from(JSON.stringify(told));
}

/**
 * The token of an item, for asking Plaid; null when there is none (any more).
 * @throws TartanError `vault_unsealable`
 */
export async function getItemSecret(
  q: Queryable,
  vault: Vault,
  integrationId: string,
  itemId: string,
): Promise<{ access_token: string; user_id: string | null } | null> {
  const token = await findToken(q, vault, integrationId, itemId);
  return token && { access_token: token.accessToken, user_id: token.userId };
}

/**
 * A page of items, by item id.
 * @throws TartanError `invalid_request` for a status that there is not, or a cursor that is not one of a page before
 */
export async function listItems(
  q: Queryable,
  { integration_id, user_id, status, limit = 50, cursor }: ItemFilter,
): Promise<{ data: ItemState[]; next_cursor: string | null }> {
  checkStatus(status);
  const size = Math.max(1, Math.min(500, Math.floor(limit) || 50));
  const after = cursor == null ? ["", ""] : readCursor(cursor);
  const filter = [integration_id ?? null, user_id ?? null, status ?? null];
  const { rows } = await q.query<Row>(LIST_ITEMS, [...filter, ...after, size + 1]);
  const data = rows.slice(0, size).map(publicShape);
  const last = data.at(-1);
  const more = last && rows.length > size;
  return { data, next_cursor: more ? writeCursor([last.item_id, last.integration_id]) : null };
}

function checkStatus(status: string | undefined): void {
  if (status === undefined || ITEM_STATUSES.some((known) => known === status)) return;
  const fields = { status: `must be one of ${ITEM_STATUSES.join(", ")}${didYouMean(status, ITEM_STATUSES)}` };
  throw new TartanError("invalid_request", `There is no status ${JSON.stringify(status.slice(0, 40))}: see fields.`, {
    fields,
  });
}

const writeCursor = (after: readonly string[]): string => Buffer.from(JSON.stringify(after)).toString("base64url");

function readCursor(cursor: string): string[] {
  try {
    const after: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    const [itemId, integrationId] = Array.isArray(after) ? (after as unknown[]) : [];
    if (typeof itemId === "string" && typeof integrationId === "string") return [itemId, integrationId];
  } catch {
    // not ours
  }
  throw new TartanError("invalid_request", "The cursor is not one of a page before.", {
    fields: { cursor: "must be the next_cursor of the page before" },
  });
}

/** One item with its row counts; where several integrations link it, the one linked last unless one is named. */
export async function getItem(q: Queryable, itemId: string, integrationId?: string): Promise<ItemState | null> {
  const { rows } = await q.query<Row>(GET_ITEM, [itemId, integrationId ?? null]);
  if (rows[0]) return publicShape(rows[0]);
  const never = await q.query<Row>(GET_NEVER_LINKED, [itemId, integrationId ?? null]);
  return never.rows[0] ? publicShape(never.rows[0]) : null;
}

/** Forgets the token of an item. @returns whether there was one */
export async function forgetToken(tx: Queryable, integrationId: string, itemId: string): Promise<boolean> {
  const { rows } = await tx.query<{ linked: boolean }>(UNLINK_ITEM, [integrationId, itemId]);
  return rows[0]?.linked ?? false;
}

/** Forgets the tokens of some of an integration's items; none are left when it names none. */
export async function dropTokens(
  tx: Queryable,
  integrationId: string,
): Promise<{ itemId: string; userId: string | null }[]> {
  const { rows } = await tx.query<{ item_id: string; user_id: string | null }>(DROP_TOKENS, [integrationId]);
  return rows.map(({ item_id: itemId, user_id: userId }) => ({ itemId, userId }));
}

export async function forgetItem(tx: Queryable, integrationId: string, itemId: string): Promise<void> {
  await tx.query(FORGET_ITEM, [integrationId, itemId]);
}

/** In parts. */
export const purgeItems = (q: Queryable, integrationId: string): Promise<void> =>
  untilNone(q, PURGE_ITEMS, [integrationId]);
