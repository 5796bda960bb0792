/**
 * What a login does. Someone who logs in is about to look at their accounts, so each of their items is synced:
 *
 *   request ─▶ token right? ─▶ logins read ─▶ for some users at a time, in one transaction:
 *     their rows are locked ─▶ items that were synced, or had a login, shortly before or since: nothing
 *                           └▶ other items: a webhook of source FROM_LISTENER is stored, by the Intake ─▶ the locks end ─▶ answer
 *
 * The transaction only locks. The Intake commits the webhooks on connections of its own, and the next login of the user waits until
 * they are stored and then finds them. If the process ends in between, the sender has no answer and sends the request again: what was
 * stored is found then. So a request can be repeated without harm, and it may fail half-way.
 */
import { hash, timingSafeEqual } from "node:crypto";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { metrics } from "../metrics.ts";
import { isListenerId, newUuid } from "../model/ids.ts";
import type { ArrivedWebhook, Intake } from "../model/intake.ts";
import type { ListenerPost, Logins, TakenLogins } from "../model/listener.ts";
import { EVERYTHING } from "../model/webhook.ts";
import { readAuth0, readGeneric, type Login, type ReadLogins } from "./formats.ts";
import type { Kind } from "./listener.schema.ts";
import { hashOf } from "./listeners.ts";
import { COUNT, FIND, ITEMS, LOCK_USERS } from "./queries.ts";

const WEBHOOK_TYPE = "ITEM";
const WEBHOOK_CODE = "USER_LOGGED_IN";

/** Rows of listeners.users. */
const BUCKETS = 1024;
const USERS_AT_ONCE = 100;
const ITEMS_AT_ONCE = 200;
/** Requests under way in this process, which hold a connection each; the others wait. */
const AT_ONCE = 2;
const WAITING_MAX = 200;
/** After this the rest of a request is left to its repeat, which finds what this one stored. */
const WORK_MAX_MS = 10_000;
const RETRY_AFTER_SECONDS = 5;

interface Found {
  id: string;
  kind: Kind;
  integrationId: string | null;
  tokenSha256: Buffer;
  throttleSeconds: number;
  eventTypes: string[];
  cutPrefix: string | null;
}

interface Item {
  userId: string;
  integrationId: string;
  itemId: string;
  environment: string;
  now: Date;
  fresh: boolean;
}

interface LoginsOptions {
  database: Database;
  intake: Pick<Intake, "accept">;
}

/** Takes logins for the listeners that Postgres has. */
export function openLogins({ database, intake }: LoginsOptions): Logins {
  const inTurn = turns();
  return {
    take: async (post) => {
      const listener = await find(database, post);
      const read = readBody(listener, post.body);
      return await inTurn(() => takeAll({ database, intake }, listener, read));
    },
  };
}

/** @throws TartanError `not_found`, `listener_token_missing`, `listener_token_mismatch` */
async function find(database: Queryable, { listenerId, authorization = "" }: ListenerPost): Promise<Found> {
  const [found] = isListenerId(listenerId) ? (await database.query<Found>(FIND, [listenerId])).rows : [];
  if (!found) {
    const message = "There is no listener at this path. `npx tartan listeners list` shows the listeners.";
    throw new TartanError("not_found", message);
  }
  if (authorization === "") {
    const message = "Send the listener's token in the Authorization header, alone or as Bearer <token>.";
    throw new TartanError("listener_token_missing", message);
  }
  // Auth0 sends what was typed as its authorization token, with or without a scheme. Hashes have the same length for every text.
  const presented = [authorization, /^Bearer +(\S.*)$/i.exec(authorization)?.[1] ?? ""];
  const holds = presented.map((token) => timingSafeEqual(hashOf(token), found.tokenSha256));
  if (holds.includes(true)) return found;
  const message =
    "This is not the listener's token. Send the right one; `npx tartan listeners rotate` makes a new one.";
  throw new TartanError("listener_token_mismatch", message);
}

const readBody = ({ kind, eventTypes, cutPrefix }: Found, body: Buffer): ReadLogins =>
  kind === "auth0" ? readAuth0(body, eventTypes, cutPrefix) : readGeneric(body, cutPrefix);

async function takeAll(deps: LoginsOptions, listener: Found, { logins, ignored }: ReadLogins): Promise<TakenLogins> {
  const end = performance.now() + WORK_MAX_MS;
  const taken: TakenLogins = { logins: 0, ignored: 0, unknown_users: 0, webhooks: 0, fresh: 0 };
  // A request without a login is counted too.
  for (let from = 0; from === 0 || from < logins.length; from += USERS_AT_ONCE) {
    if (performance.now() > end) throw overloaded();
    const some = logins.slice(from, from + USERS_AT_ONCE);
    const part = await takeSome(deps, listener, some, { ignored: from === 0 ? ignored : 0, end });
    for (const [name, count] of Object.entries(part)) taken[name as keyof TakenLogins] += count;
  }
  return taken;
}

const overloaded = (): TartanError =>
  new TartanError("overloaded", "Too many logins come at once. Send the request again.", {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });

async function takeSome(
  { database, intake }: LoginsOptions,
  listener: Found,
  logins: readonly Login[],
  { ignored, end }: { ignored: number; end: number },
): Promise<TakenLogins> {
  // Where another login of a user holds its row for too long, the transaction fails so that the sender sends the request again.
  return await database.transaction(async (tx) => {
    const part = { ...(await syncItems(tx, intake, listener, logins, end)), logins: logins.length, ignored };
    const { unknown_users, webhooks, fresh } = part;
    // Last, since every request of the listener writes this row.
    await tx.query(COUNT, [listener.id, logins.length, ignored, unknown_users, webhooks, fresh]);
    for (const [outcome, count] of Object.entries({ webhook: webhooks, fresh, unknown_user: unknown_users, ignored }))
      if (count > 0) metrics.logins.inc({ outcome }, count);
    return part;
  });
}

type Synced = Omit<TakenLogins, "logins" | "ignored">;

async function syncItems(
  tx: Queryable,
  intake: LoginsOptions["intake"],
  { id, integrationId, throttleSeconds }: Found,
  logins: readonly Login[],
  end: number,
): Promise<Synced> {
  if (logins.length === 0) return { unknown_users: 0, webhooks: 0, fresh: 0 };
  await tx.query(LOCK_USERS, [logins.map(({ userId }) => bucketOf(userId))]);
  const byUser = new Map(logins.map((login) => [login.userId, login]));
  const asked = [logins.map(({ userId }) => userId), logins.map(({ at }) => at), throttleSeconds, integrationId];
  const known = new Set<string>();
  const synced = { webhooks: 0, fresh: 0 };
  for (let behind = ["", "", ""]; ;) {
    const { rows } = await tx.query<Item>(ITEMS, [...asked, ...behind, ITEMS_AT_ONCE]);
    const stale = rows.filter(({ fresh }) => !fresh);
    await acceptAll(
      intake,
      stale.map((item) => webhookFor(item, id, byUser.get(item.userId)?.at ?? item.now)),
    );
    for (const { userId } of rows) known.add(userId);
    synced.webhooks += stale.length;
    synced.fresh += rows.length - stale.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < ITEMS_AT_ONCE) break;
    if (performance.now() > end) throw overloaded();
    behind = [last.userId, last.itemId, last.integrationId];
  }
  return { ...synced, unknown_users: logins.length - known.size };
}

const bucketOf = (userId: string): number => hash("sha256", userId, "buffer").readUInt32BE() % BUCKETS;

/** Waits for every webhook, also when one fails: the users stay locked until it is known what is stored. */
async function acceptAll(intake: LoginsOptions["intake"], webhooks: readonly ArrivedWebhook[]): Promise<void> {
  const settled = await Promise.allSettled(webhooks.map((webhook) => intake.accept(webhook)));
  const failed = settled.find((each) => each.status === "rejected");
  if (failed) throw failed.reason;
}

/** Its instant is the database's, which the throttle is measured by. */
function webhookFor(
  { integrationId, itemId, userId, environment, now }: Item,
  listener: string,
  at: Date,
): ArrivedWebhook {
  const login = { listener_id: listener, at: at.toISOString() };
  const named = { webhook_type: WEBHOOK_TYPE, webhook_code: WEBHOOK_CODE, item_id: itemId, user_id: userId };
  return {
    arrival: "webhook",
    id: newUuid(now),
    integrationId,
    source: "FROM_LISTENER",
    subject: { kind: "item", id: itemId },
    itemId,
    userId,
    webhookType: WEBHOOK_TYPE,
    webhookCode: WEBHOOK_CODE,
    environment,
    receivedAt: now,
    body: Buffer.from(JSON.stringify({ ...named, environment, login })),
    proof: null,
    requested: [EVERYTHING],
  };
}

/** Runs some at a time, in the order in which they came. @throws TartanError `overloaded` where too many wait */
function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = AT_ONCE;
  return async (work) => {
    if (free > 0) free -= 1;
    else if (waiting.length >= WAITING_MAX) throw overloaded();
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
