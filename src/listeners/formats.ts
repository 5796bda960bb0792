/**
 * Reads the bodies that senders post.
 *
 * Auth0's log stream of the type Custom Webhook posts log events, `{"log_id", "data": {"type", "date", "user_id", …}}`, in the
 * format that is chosen there: an array of them, one in each line, or one object (auth0.com/docs/customize/log-streams/custom-log-streams).
 * A sender of your own posts `{"user_id", "at"}` or an array of such objects.
 *
 * What a log stream sends besides logins is ignored, also a log event that has no user: if Tartan refused it, Auth0 would send it again and
 * again and pause the stream in the end. A body that is no JSON at all is refused, and so is an entry of your own that names no user.
 */
import { z } from "zod";
import { TartanError } from "../errors.ts";
import { instant, namedUser } from "../model/schema.ts";
import { validate } from "../model/validation.ts";

/** One login of a user. */
export interface Login {
  userId: string;
  /** null: now */
  at: Date | null;
}

export interface ReadLogins {
  /** one for each user, the latest */
  logins: Login[];
  /** entries that are no logins, or name no user */
  ignored: number;
}

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @throws TartanError `login_malformed` */
export function readAuth0(body: Buffer, eventTypes: readonly string[], cutPrefix: string | null): ReadLogins {
  const types = new Set(eventTypes);
  const events = entriesOf(body);
  const logins = events.flatMap((event) => {
    const { type, user_id, date } = dataOf(event);
    // First, since a body may have hundreds of thousands of other entries.
    if (typeof type !== "string" || !types.has(type)) return [];
    const userId = usable(user_id);
    return userId === null ? [] : [{ userId, at: dateOf(date) }];
  });
  return { logins: latest(logins, cutPrefix), ignored: events.length - logins.length };
}

/** What Auth0 says of an event; it may stand in the entry itself. */
function dataOf(event: unknown): Fields {
  if (!isFields(event)) return {};
  return isFields(event["data"]) ? event["data"] : event;
}

const usable = (value: unknown): string | null => namedUser.safeParse(value).data ?? null;

function dateOf(value: unknown): Date | null {
  const date = new Date(typeof value === "string" ? value : Number.NaN);
  return isStorable(date) ? date : null;
}

/** Postgres and the statements that compare it take every date of these years. */
const isStorable = (date: Date): boolean =>
  date.getTime() >= Date.UTC(1970, 0, 1) && date.getTime() <= Date.UTC(9999, 11, 31);

const OwnLogin = z.object({
  user_id: namedUser,
  at: instant("When the user logged in.").nullish(),
});
/** Entries are checked one by one; the error of an array would repeat its path for each. */
const FAULTS_NAMED = 5;

/** @throws TartanError `login_malformed` naming each invalid field */
export function readGeneric(body: Buffer, cutPrefix: string | null): ReadLogins {
  const value = parsed(body.toString("utf8"));
  if (value === undefined) throw malformed({ body: "must be JSON: an object with user_id, or an array of them" });
  const entries: unknown[] = [value].flat();
  const faults: Record<string, string> = {};
  const logins: Login[] = [];
  // A megabyte has hundreds of thousands of wrong entries, and each would hold up the process.
  for (let index = 0; index < entries.length && Object.keys(faults).length < FAULTS_NAMED; index += 1) {
    const { value: login, errors } = validate(OwnLogin, entries[index]);
    if (login) logins.push({ userId: login.user_id, at: login.at == null ? null : dateOf(login.at) });
    const path = Array.isArray(value) ? `${index}.` : "";
    for (const [field, fault] of Object.entries(errors.fields)) faults[`${path}${field}`] = fault;
  }
  if (Object.keys(faults).length > 0) throw malformed(faults);
  return { logins: latest(logins, cutPrefix), ignored: 0 };
}

function malformed(fields: Record<string, string>): TartanError {
  const named = Object.entries(fields).map(([field, fault]) => `${field} ${fault}`);
  return new TartanError("login_malformed", `The logins are not usable: ${named.join("; ")}.`, { fields });
}

/** @throws TartanError `login_malformed` */
function entriesOf(body: Buffer): unknown[] {
  const text = body.toString("utf8");
  const whole = parsed(text);
  if (Array.isArray(whole)) return whole;
  if (isFields(whole)) return Array.isArray(whole["logs"]) ? whole["logs"] : [whole];
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const values = lines.map(parsed);
  if (lines.length < 2 || !values.every(isFields))
    throw malformed({ body: "must be log events as JSON: an array, an object, or an object in each line" });
  return values;
}

/** Undefined where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One login of each user: that without an instant, or else the latest. */
function latest(logins: readonly Login[], cutPrefix: string | null): Login[] {
  const byUser = new Map<string, Login>();
  for (const { userId: id, at } of logins) {
    const userId = cutPrefix !== null && id.startsWith(cutPrefix) && id !== cutPrefix ? id.slice(cutPrefix.length) : id;
    const before = byUser.get(userId);
    if (before === undefined || at === null || (before.at !== null && at > before.at))
      byUser.set(userId, { userId, at });
  }
  return [...byUser.values()];
}
