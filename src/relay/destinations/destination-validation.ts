/** Validates destinations from the API and the CLI. All errors are thrown together, by field. */
import { X509Certificate } from "node:crypto";
import { TartanError } from "../../errors.ts";
import { ValidationErrors, addUnknownFields, oneOfError, textError, integerError } from "../model/validation-errors.ts";
import { senderUrlError } from "../senders/registry.ts";
import type { UrlRules } from "../senders/sender.ts";
import { openSigner, type SigningScheme } from "../senders/signing.ts";
import { ORDERINGS, type Ordering } from "../model/types.ts";

export const SCHEMES = ["v1", "v1a"] as const;

/** The settings of a destination, when it is created and when it is changed. */
export interface DestinationSettings {
  url: string;
  name?: string | undefined;
  description?: string | undefined;
  /** sent along; sealed, and never shown again. A change replaces them all */
  headers?: Readonly<Record<string, string>> | null | undefined;
  /** certificates in PEM that are trusted besides the usual ones */
  ca?: string | null | undefined;
  /** of the whole exchange; 15,000 by default */
  timeout_ms?: number | undefined;
  /** seconds before each retry; none: one attempt and no more */
  schedule?: readonly number[] | undefined;
  /** never more than `count` in any `window_ms` (1,000 by default) */
  rate_limit?: { count: number; window_ms?: number | undefined } | null | undefined;
  /** attempts at once; 8 by default */
  concurrency?: number | undefined;
  ordering?: Ordering | undefined;
  /** of nothing but failures; 432,000 (five days) by default */
  disable_after_s?: number | undefined;
}

export interface NewDestination extends DestinationSettings {
  /** v1 (HMAC-SHA256) by default, v1a (Ed25519) otherwise */
  signing_scheme?: SigningScheme | undefined;
  /** whsec_… or whsk_…; a new one by default */
  signing_secret?: string | undefined;
}

export type DestinationChange = Partial<DestinationSettings>;

export const DEFAULT_WINDOW_MS = 1000;

const URL_MAX = 2000;
const HEADERS_MAX = 20;
const HEADER_NAME_MAX = 200;
const HEADER_VALUE_MAX = 4096;
const CA_MAX = 100_000;
const RETRIES_MAX = 50;

/** @throws TartanError `invalid_request` naming each field that has an error */
export function checkNewDestination(given: NewDestination, rules: UrlRules): void {
  const errors = new ValidationErrors();
  const { url, signing_scheme: scheme, signing_secret: secret, ...settings } = given;
  errors.add("url", urlError(url, rules));
  checkSettings(errors, settings);
  if (scheme !== undefined) errors.add("signing_scheme", oneOfError(scheme, SCHEMES));
  if (secret !== undefined) errors.add("signing_secret", secretError(scheme ?? "v1", secret));
  errors.throwIfAny("destination");
}

/** @throws TartanError `invalid_request` naming each field that has an error */
export function checkDestinationChange({ url, ...settings }: DestinationChange, rules: UrlRules): void {
  const errors = new ValidationErrors();
  if (url !== undefined) errors.add("url", urlError(url, rules));
  checkSettings(errors, settings);
  errors.throwIfAny("destination");
}

function checkSettings(errors: ValidationErrors, settings: object): void {
  addUnknownFields(errors, settings, Object.keys(RULES));
  for (const [field, value] of Object.entries(settings)) {
    if (value !== undefined && Object.hasOwn(RULES, field)) RULES[field]?.(errors, field, value);
  }
}

/** @throws TartanError `invalid_request` naming each field that has an error */
export function checkRotation(
  asked: { grace_s?: unknown; scheme?: unknown; secret?: unknown },
  known: SigningScheme,
): void {
  const errors = new ValidationErrors();
  const { grace_s: grace, scheme = known, secret } = asked;
  if (grace !== undefined) errors.add("grace_s", integerError(grace, 0, 604_800));
  errors.add("scheme", oneOfError(scheme, SCHEMES));
  if (secret !== undefined) errors.add("secret", secretError(scheme as SigningScheme, secret));
  errors.throwIfAny("rotation");
}

type Rule = (errors: ValidationErrors, field: string, value: unknown) => void;

const simple =
  (error: (value: unknown) => string | null): Rule =>
  (errors, field, value) =>
    errors.add(field, error(value));

const RULES: Record<string, Rule> = {
  name: simple((value) => textError(value, 200)),
  description: simple((value) => textError(value, 2000)),
  headers: checkHeaders,
  ca: simple((value) => (value === null ? null : caError(value))),
  timeout_ms: simple((value) => integerError(value, 1000, 30_000)),
  schedule: simple(scheduleError),
  rate_limit: checkRate,
  concurrency: simple((value) => integerError(value, 1, 256)),
  ordering: simple((value) => oneOfError(value, ORDERINGS)),
  disable_after_s: simple((value) => integerError(value, 3600, 31_536_000)),
};

function urlError(value: unknown, rules: UrlRules): string | null {
  const url = typeof value === "string" && value.length <= URL_MAX && URL.canParse(value) ? new URL(value) : null;
  if (!url || url.href.length > URL_MAX)
    return `must be a URL of at most ${URL_MAX} characters, such as https://example.com/webhooks`;
  return senderUrlError(url, rules);
}

/** Headers that Tartan, Plaid or the connection set. */
const RESERVED =
  /^(?:host|connection|content-(?:length|type|encoding)|expect|keep-alive|plaid-verification|te|trailer|transfer-encoding|upgrade|user-agent|(?:proxy|webhook|tartan)-.*)$/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Printable ASCII, and no space at either end, where it would be lost. */
const HEADER_VALUE = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;

function checkHeaders(errors: ValidationErrors, field: string, value: unknown): void {
  if (value === null) return;
  if (typeof value !== "object" || Array.isArray(value))
    return errors.add(field, "must be an object of names and values");
  const entries = Object.entries(value);
  if (entries.length > HEADERS_MAX) errors.add(field, `must be at most ${HEADERS_MAX}`);
  const seen = new Set<string>();
  for (const [name, text] of entries.slice(0, HEADERS_MAX)) {
    // An invalid name is not repeated in the error: it may be a value that was put in its place.
    if (!HEADER_NAME.test(name) || name.length > HEADER_NAME_MAX) {
      errors.add(field, "must have names of letters, digits and -");
      continue;
    }
    const lower = name.toLowerCase();
    if (RESERVED.test(lower)) errors.add(`${field}.${name}`, "is set by Tartan or by HTTP itself");
    if (seen.has(lower)) errors.add(`${field}.${name}`, "is there twice");
    seen.add(lower);
    errors.add(`${field}.${name}`, headerValueError(text));
  }
}

function headerValueError(value: unknown): string | null {
  if (typeof value !== "string") return "must be a text";
  if (value.length > HEADER_VALUE_MAX) return `must have at most ${HEADER_VALUE_MAX} characters`;
  return HEADER_VALUE.test(value) ? null : "must be printable ASCII on one line, without spaces at its ends";
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function caError(value: unknown): string | null {
  if (typeof value !== "string" || value.length > CA_MAX) return `must be a text of at most ${CA_MAX} characters`;
  const fix = "must be certificates in PEM (-----BEGIN CERTIFICATE-----)";
  if (value.includes("PRIVATE KEY")) return `${fix}, without any private key`;
  const found = value.match(CERTIFICATE) ?? [];
  const readable = found.every((pem) => {
    try {
      return new X509Certificate(pem).raw.length > 0;
    } catch {
      return false;
    }
  });
  return found.length > 0 && readable ? null : fix;
}

function scheduleError(value: unknown): string | null {
  const fine =
    Array.isArray(value) && value.length <= RETRIES_MAX && value.every((s) => integerError(s, 1, 604_800) === null);
  return fine ? null : `must be at most ${RETRIES_MAX} whole numbers of seconds from 1 to 604800 (a week)`;
}

function checkRate(errors: ValidationErrors, field: string, value: unknown): void {
  if (value === null) return;
  if (typeof value !== "object") return errors.add(field, "must be an object with count and window_ms, or null");
  const { count, window_ms: window = DEFAULT_WINDOW_MS, ...others } = value as Record<string, unknown>;
  errors.add(`${field}.count`, integerError(count, 1, 1_000_000));
  errors.add(`${field}.window_ms`, integerError(window, 1000, 60_000));
  for (const name of Object.keys(others)) errors.add(`${field}.${name}`, "is not a field there is");
}

function secretError(scheme: SigningScheme, secret: unknown): string | null {
  try {
    if (typeof secret !== "string") return "must be a text";
    openSigner(scheme, secret);
    return null;
  } catch (error) {
    if (error instanceof TartanError) return Object.values(error.fields ?? {})[0] ?? error.message;
    throw error;
  }
}
