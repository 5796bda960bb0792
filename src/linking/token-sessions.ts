/** Reads the sessions of a Link token out of Plaid's answer (https://plaid.com/docs/api/link/#linktokenget). Never throws. */
import { storableText } from "../plaid/webhooks.ts";

/** A session that has ended. */
export interface Session {
  id: string;
  finishedAt: Date;
  /** Plaid says that its user came to the end; a session that was left has no such sign */
  isSuccess: boolean;
  publicTokens: string[];
}

/** More sessions than these of one Link token are no people's, and more public tokens than these no session's. */
const SESSIONS_MAX = 100;
const TOKENS_MAX = 50;

export function sessionsIn(answer: Readonly<Record<string, unknown>>): Session[] {
  return objectsIn(answer["link_sessions"]).slice(0, SESSIONS_MAX).flatMap(sessionOf);
}

function sessionOf(given: Readonly<Record<string, unknown>>): Session[] {
  const id = storableText(given["link_session_id"]);
  const finishedAt = new Date(typeof given["finished_at"] === "string" ? given["finished_at"] : Number.NaN);
  if (id === null || Number.isNaN(finishedAt.getTime())) return [];
  const publicTokens = tokensOf(given);
  const isLeft = isGiven(given["exit"]) || isGiven(given["on_exit"]);
  const isAtEnd =
    isGiven(given["on_success"]) || objectsIn(given["events"]).some((one) => one["event_name"] === "HANDOFF");
  return [{ id, finishedAt, isSuccess: publicTokens.length > 0 || (isAtEnd && !isLeft), publicTokens }];
}

/** Those of the items that it added, and the one of an older form of the answer. */
function tokensOf(given: Readonly<Record<string, unknown>>): string[] {
  const added = objectsIn(objectIn(given["results"])["item_add_results"]);
  const all = [...added, objectIn(given["on_success"])].map((one) => one["public_token"]);
  const tokens = all.filter((token): token is string => typeof token === "string" && token.startsWith("public-"));
  return [...new Set(tokens)].slice(0, TOKENS_MAX);
}

const isGiven = (value: unknown): boolean => value !== null && value !== undefined;

const objectIn = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const objectsIn = (value: unknown): Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) ? (value as unknown[]).map(objectIn) : [];
