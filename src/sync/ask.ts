/**
 * One request to Plaid about a subject, when its turn under Plaid's limits has come, and how its answer is looked into. An answer
 * stays the text that Plaid sent; only what sync itself needs is parsed.
 */
import type { Clock } from "../clock.ts";
import type { Database } from "../database/types.ts";
import type { Scope } from "../mirror/types.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError, UNREADABLE_ANSWER } from "../plaid/errors.ts";
import type { Asker, Request, Resource, RowsAt, Table } from "../resources/types.ts";
import { askWithin, type Asking, type Limiter } from "./limiter.ts";
import { membersOf } from "./members.ts";

/** All that reading needs of a run. */
export interface Reader {
  database: Database;
  clock: Clock;
  limiter: Limiter;
  client: PlaidClient;
  signal: AbortSignal;
  scope: Scope;
  environment: Asking["environment"];
  /** what of the integration and the subject goes into requests */
  asker: Asker;
  /** the fields that name the subject: its id or its token */
  credentials: Readonly<Record<string, string>>;
  /** the subject if it is an item, whose own rate limits count */
  itemId: string | null;
  /** where an answer to the subject's token has the id of what the token belongs to; null: nowhere */
  namedAt: string | null;
  /** the token, as sealed, while Plaid has not answered it with this subject yet */
  unconfirmed: Buffer | null;
  /** of an item, as far as the mirror knows it */
  institutionId: string | null;
}

/** the members of an answer, as texts */
export type Answer = ReadonlyMap<string, string>;

/** Longer waits for a turn end the run, so that others use the worker meanwhile. */
const PATIENCE_MS = 100;

/** Our own limits do not let the request go for so long. */
export class Limited extends Error {
  readonly waitMs: number;

  constructor(waitMs: number) {
    super("held back by a rate limit");
    this.waitMs = waitMs;
  }
}

/** Plaid answers the subject's token with another subject. */
export class ForeignToken extends Error {}

/** One request, when its turn has come. `fields` join its body; a dot in a name leads into an object. */
export async function ask(
  reader: Reader,
  { endpoint, body: own }: Request,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<{ text: string; body: Answer }> {
  const { client, limiter, signal, scope, environment, asker, credentials, itemId, namedAt, institutionId } = reader;
  const { integrationId, subjectId } = scope;
  const asking: Asking = { integrationId, environment, endpoint, itemId, institutionId };
  const waitMs = await limiter.acquire(asking, PATIENCE_MS, signal);
  if (waitMs > 0) throw new Limited(waitMs);
  const sent = withFields({ ...own?.(asker), ...credentials }, fields);
  const { text } = await askWithin(limiter, asking, () => client.post(endpoint, sent, signal));
  const body = membersIn(text);
  if (namedAt !== null) expectOwn(body, namedAt, subjectId);
  return { text, body };
}

function withFields(body: Record<string, unknown>, fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const whole = { ...body };
  for (const [name, value] of Object.entries(fields)) {
    const [first = "", ...rest] = name.split(".");
    const inner = (whole[first] ?? {}) as Record<string, unknown>;
    whole[first] = rest.length === 0 ? value : withFields(inner, { [rest.join(".")]: value });
  }
  return whole;
}

/** An answer that names its subject must name ours. */
function expectOwn(body: Answer, namedAt: string, subjectId: string): void {
  const named = valueAt(body, namedAt);
  if (typeof named === "string" && named !== subjectId)
    throw new ForeignToken("The token belongs to another item, account or report; nothing that it reads is mirrored.");
}

/** @throws PlaidError when it is no JSON */
export const valueOf = (body: Answer, name: string): unknown => parsed(body.get(name) ?? "null");

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw unreadable();
  }
}

/** The value at a path with dots; undefined where there is none. */
export function valueAt(body: Answer, path: string): unknown {
  const [first = "", ...rest] = path.split(".");
  return rest.reduce<unknown>(
    (value, name) =>
      typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined,
    valueOf(body, first),
  );
}

/** Whether the text is that of an array or object with something in it. */
const holdsAny = (text: string): boolean => /^(\{|\[\s*[^\]\s])/.test(text);

/** Whether the answer holds rows. One that lacks a place of theirs is no answer, and must not pass for "none left". */
export function holdsRows(body: Answer, { tables }: Resource): boolean {
  const places = tables.flatMap(({ key, rows }) =>
    rows.map((at) => at.at === "" || holdsAt(body, at.at.split("."), at, isOne(key, at))),
  );
  return places.some(Boolean);
}

/** Whether the place is that of one object, not of an array. */
const isOne = (key: Table["key"], { whose, one }: RowsAt): boolean =>
  one === true || (key.length === 0 && whose === undefined);

function holdsAt(body: Answer, [step = "", ...rest]: readonly string[], at: RowsAt, one: boolean): boolean {
  const isEach = step.endsWith("[]");
  const text = body.get(isEach ? step.slice(0, -2) : step) ?? "";
  if (rest.length === 0 && at.nullable && text === "null") return false;
  if (at.optional && (text === "null" || text === "")) return false;
  if (!text.startsWith(isEach || (rest.length === 0 && !one) ? "[" : "{")) throw unreadable();
  if (rest.length === 0) return holdsAny(text);
  const inner = isEach ? (parsed(text) as unknown[]).map((element) => JSON.stringify(element)) : [text];
  return inner.map((each) => holdsAt(membersIn(each), rest, at, one)).some(Boolean);
}

/** @throws PlaidError when it is no JSON object, as far as that shows without parsing its members */
export function membersIn(text: string): Answer {
  try {
    return membersOf(text);
  } catch {
    throw unreadable();
  }
}

/** An answer need not speak of removals; one that does so in another form must not pass for "none". */
export function holdsRemovals(body: Answer, { tables }: Resource): boolean {
  return tables.some(({ removals }) => {
    if (removals === undefined) return false;
    const text = body.get(removals) ?? "null";
    if (text !== "null" && !text.startsWith("[")) throw unreadable();
    return holdsAny(text);
  });
}

/** The one row of an answer, with what is joined to it. */
export function rootIn(body: Answer, { rows: [place] }: Table, subjectId: string): Record<string, unknown> | null {
  if (place === undefined) return {};
  const found = place.at === "" ? wholeOf(body) : valueAt(body, place.at);
  const row = place.whose === undefined ? found : elementOf(found, place.whose, subjectId);
  if (row === null) return null;
  const beside = (place.with ?? []).map((field) => {
    const path = [...place.at.split(".").slice(0, -1), field].join(".");
    return [field, valueAt(body, path) ?? null] as const;
  });
  return { ...(row as Record<string, unknown>), ...Object.fromEntries(beside) };
}

const wholeOf = (body: Answer): Record<string, unknown> =>
  Object.fromEntries([...body].flatMap(([name, text]) => (name === "request_id" ? [] : [[name, parsed(text)]])));

const elementOf = (list: unknown, field: string, id: string): unknown =>
  (Array.isArray(list) ? (list as Record<string, unknown>[]) : []).find((each) => each[field] === id) ?? null;

export const notReady = (): PlaidError =>
  new PlaidError({ errorType: "ITEM_ERROR", errorCode: "PRODUCT_NOT_READY", httpStatus: 200, retryClass: "trigger" });
/** An answer without what every answer of its endpoint has. */
export const unreadable = (): PlaidError =>
  new PlaidError({ errorType: "NETWORK", errorCode: UNREADABLE_ANSWER, httpStatus: 200, retryClass: "backoff" });
