/**
 * What an integration and an item must look like, whichever way they come in: API, CLI or intake. Every fault is
 * reported at once, by field, and no message repeats a value.
 */
import { TartanError } from "../errors.ts";
import { ENVIRONMENTS } from "../model/integration.ts";

export { ENVIRONMENTS, type Environment } from "../model/integration.ts";

type Faults = Record<string, string>;

function refuse(what: string, faults: Faults): void {
  if (Object.keys(faults).length === 0) return;
  const lines = Object.entries(faults).map(([field, fault]) => `${field} ${fault}`);
  throw new TartanError("invalid_request", `The ${what} is not usable: ${lines.join("; ")}.`, { fields: faults });
}

/** Postgres text cannot hold NUL, and UTF-8 no lone surrogate. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

function textFault(value: unknown, longest: number): string | null {
  if (typeof value !== "string" || value.trim() === "") return "must be a text that is not empty";
  if (value.length > longest) return `must have at most ${longest} characters`;
  return UNSTORABLE.test(value) ? "has characters that cannot be stored" : null;
}

/** It travels in a header, which knows printable ASCII only and loses spaces at both ends. */
function webhookSecretFault(secret: unknown): string | null {
  if (typeof secret !== "string" || secret.length < 8) return "must have at least 8 characters";
  if (secret.length > 500) return "must have at most 500 characters";
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(secret)) {
    return "must be printable ASCII without spaces at its ends, since it travels in a header";
  }
  return null;
}

function urlFault(url: unknown): string | null {
  const parsed = typeof url === "string" && URL.canParse(url) ? new URL(url) : null;
  return parsed && /^https?:$/.test(parsed.protocol) ? null : "must be an http or https URL";
}

function countriesFault(codes: unknown): string | null {
  const fine = Array.isArray(codes) && codes.length > 0 && codes.every((code) => /^[A-Z]{2}$/.test(String(code)));
  return fine ? null : "must be two-letter codes, such as US";
}

/** Plaid's own bounds (https://plaid.com/docs/api/link/#link-token-create-request-transactions-days-requested). */
export const DAYS_REQUESTED_MAX = 730;

function daysFault(days: unknown): string | null {
  const fine = days === null || (Number.isInteger(days) && Number(days) >= 1 && Number(days) <= DAYS_REQUESTED_MAX);
  return fine ? null : `must be a whole number of days from 1 to ${DAYS_REQUESTED_MAX}, or null for Plaid's default`;
}

const RULES = {
  client_id: (value: unknown) => textFault(value, 200),
  secret: (value: unknown) => textFault(value, 500),
  environment: (value: unknown) =>
    ENVIRONMENTS.some((name) => name === value) ? null : `must be ${ENVIRONMENTS.join(" or ")}`,
  plaid_url: urlFault,
  webhook_secret: webhookSecretFault,
  name: (value: unknown) => textFault(value, 200),
  country_codes: countriesFault,
  days_requested: daysFault,
  include_original_description: (value: unknown) => (typeof value === "boolean" ? null : "must be true or false"),
};

type Fields = { [K in keyof typeof RULES]?: unknown };

/** Checks the fields that are there. */
export function checkIntegration(fields: Fields): void {
  const faults: Faults = {};
  for (const [field, rule] of Object.entries(RULES)) {
    const value = fields[field as keyof Fields];
    const fault = value === undefined ? null : rule(value);
    if (fault !== null) faults[field] = fault;
  }
  refuse("integration", faults);
}

export function checkWebhookSecret(secret: string): void {
  checkIntegration({ webhook_secret: secret });
}

export function checkItem(item: { item_id: string; access_token: string; user_id?: string | undefined }): void {
  const faults: Faults = {};
  const note = (field: string, fault: string | null) => {
    if (fault !== null) faults[field] = fault;
  };
  note("item_id", textFault(item.item_id, 200));
  note("access_token", textFault(item.access_token, 500));
  if (item.user_id !== undefined) note("user_id", textFault(item.user_id, 200));
  refuse("item", faults);
}
