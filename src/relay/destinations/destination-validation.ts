/**
 * What a destination must look like, whichever way it comes in. Every fault is told at once, by field.
 */
import { X509Certificate } from "node:crypto";
import { TartanError } from "../../errors.ts";
import { Faults, noteUnknown, oneOfFault, textFault, wholeFault } from "../model/validation-errors.ts";
import { openSigner, type SigningScheme } from "../senders/http/signing.ts";
import { ORDERINGS, type Ordering } from "../model/types.ts";

export const SCHEMES = ["v1", "v1a"] as const;

/** What can be said of a destination when it is created and changed later. */
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

/** Which URLs may be delivered to. */
export interface UrlRules {
  allowHttp: boolean;
  /** throws a TartanError where the URL itself shows an address that may not be reached */
  checkUrl(url: URL): void;
}

export const DEFAULT_WINDOW_MS = 1000;

const URL_MAX = 2000;
const HEADERS_MAX = 20;
const HEADER_NAME_MAX = 200;
const HEADER_VALUE_MAX = 4096;
const CA_MAX = 100_000;
const RETRIES_MAX = 50;

/** @throws TartanError `invalid_request` naming each field at fault */
export function checkNewDestination(given: NewDestination, rules: UrlRules): void {
  const faults = new Faults();
  const { url, signing_scheme: scheme, signing_secret: secret, ...settings } = given;
  faults.note("url", urlFault(url, rules));
  noteSettings(faults, settings);
  if (scheme !== undefined) faults.note("signing_scheme", oneOfFault(scheme, SCHEMES));
  if (secret !== undefined) faults.note("signing_secret", secretFault(scheme ?? "v1", secret));
  faults.refuse("destination");
}

/** @throws TartanError `invalid_request` naming each field at fault */
export function checkDestinationChange({ url, ...settings }: DestinationChange, rules: UrlRules): void {
  const faults = new Faults();
  if (url !== undefined) faults.note("url", urlFault(url, rules));
  noteSettings(faults, settings);
  faults.refuse("destination");
}

function noteSettings(faults: Faults, settings: object): void {
  noteUnknown(faults, settings, Object.keys(RULES));
  for (const [field, value] of Object.entries(settings)) {
    if (value !== undefined && Object.hasOwn(RULES, field)) RULES[field]?.(faults, field, value);
  }
}

/** @throws TartanError `invalid_request` naming each field at fault */
export function checkRotation(
  asked: { grace_s?: unknown; scheme?: unknown; secret?: unknown },
  known: SigningScheme,
): void {
  const faults = new Faults();
  const { grace_s: grace, scheme = known, secret } = asked;
  if (grace !== undefined) faults.note("grace_s", wholeFault(grace, 0, 604_800));
  faults.note("scheme", oneOfFault(scheme, SCHEMES));
  if (secret !== undefined) faults.note("secret", secretFault(scheme as SigningScheme, secret));
  faults.refuse("rotation");
}

type Rule = (faults: Faults, field: string, value: unknown) => void;

const simple =
  (fault: (value: unknown) => string | null): Rule =>
  (faults, field, value) =>
    faults.note(field, fault(value));

const RULES: Record<string, Rule> = {
  name: simple((value) => textFault(value, 200)),
  description: simple((value) => textFault(value, 2000)),
  headers: noteHeaders,
  ca: simple((value) => (value === null ? null : caFault(value))),
  timeout_ms: simple((value) => wholeFault(value, 1000, 30_000)),
  schedule: simple(scheduleFault),
  rate_limit: noteRate,
  concurrency: simple((value) => wholeFault(value, 1, 256)),
  ordering: simple((value) => oneOfFault(value, ORDERINGS)),
  disable_after_s: simple((value) => wholeFault(value, 3600, 31_536_000)),
};

function urlFault(value: unknown, { allowHttp, checkUrl }: UrlRules): string | null {
  const url = typeof value === "string" && value.length <= URL_MAX && URL.canParse(value) ? new URL(value) : null;
  if (!url || url.href.length > URL_MAX)
    return `must be a URL of at most ${URL_MAX} characters, such as https://example.com/webhooks`;
  if (url.protocol !== "https:" && !(allowHttp && url.protocol === "http:")) {
    return allowHttp ? "must be an http or https URL" : "must be an https URL; TARTAN_RELAY_ALLOW_HTTP allows http";
  }
  if (url.username !== "" || url.password !== "") {
    return "must not hold credentials; send them in a header, which is sealed and not shown";
  }
  if (url.href.includes("#")) return "must not have a fragment (#…), which is never sent";
  try {
    checkUrl(url);
  } catch (error) {
    if (error instanceof TartanError) return error.fields?.["url"] ?? error.message;
    throw error;
  }
  return null;
}

/** What is Tartan's, Plaid's or the connection's to say. */
const RESERVED =
  /^(?:host|connection|content-(?:length|type|encoding)|expect|keep-alive|plaid-verification|te|trailer|transfer-encoding|upgrade|user-agent|(?:proxy|webhook|tartan)-.*)$/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Printable ASCII, and no space at either end, where it would be lost. */
const HEADER_VALUE = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;

function noteHeaders(faults: Faults, field: string, value: unknown): void {
  if (value === null) return;
  if (typeof value !== "object" || Array.isArray(value))
    return faults.note(field, "must be an object of names and values");
  const entries = Object.entries(value);
  if (entries.length > HEADERS_MAX) faults.note(field, `must be at most ${HEADERS_MAX}`);
  const seen = new Set<string>();
  for (const [name, text] of entries.slice(0, HEADERS_MAX)) {
    // Whatever a name is that is none is not repeated: it may be a value that was put in its place.
    if (!HEADER_NAME.test(name) || name.length > HEADER_NAME_MAX) {
      faults.note(field, "must have names of letters, digits and -");
      continue;
    }
    const lower = name.toLowerCase();
    if (RESERVED.test(lower)) faults.note(`${field}.${name}`, "is set by Tartan or by HTTP itself");
    if (seen.has(lower)) faults.note(`${field}.${name}`, "is there twice");
    seen.add(lower);
    faults.note(`${field}.${name}`, headerValueFault(text));
  }
}

function headerValueFault(value: unknown): string | null {
  if (typeof value !== "string") return "must be a text";
  if (value.length > HEADER_VALUE_MAX) return `must have at most ${HEADER_VALUE_MAX} characters`;
  return HEADER_VALUE.test(value) ? null : "must be printable ASCII on one line, without spaces at its ends";
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function caFault(value: unknown): string | null {
  if (typeof value !== "string" || value.length > CA_MAX) return `must be a text of at most ${CA_MAX} characters`;
  const mend = "must be certificates in PEM (-----BEGIN CERTIFICATE-----)";
  if (value.includes("PRIVATE KEY")) return `${mend}, without any private key`;
  const found = value.match(CERTIFICATE) ?? [];
  const readable = found.every((pem) => {
    try {
      return new X509Certificate(pem).raw.length > 0;
    } catch {
      return false;
    }
  });
  return found.length > 0 && readable ? null : mend;
}

function scheduleFault(value: unknown): string | null {
  const fine =
    Array.isArray(value) && value.length <= RETRIES_MAX && value.every((s) => wholeFault(s, 1, 604_800) === null);
  return fine ? null : `must be at most ${RETRIES_MAX} whole numbers of seconds from 1 to 604800 (a week)`;
}

function noteRate(faults: Faults, field: string, value: unknown): void {
  if (value === null) return;
  if (typeof value !== "object") return faults.note(field, "must be an object with count and window_ms, or null");
  const { count, window_ms: window = DEFAULT_WINDOW_MS, ...others } = value as Record<string, unknown>;
  faults.note(`${field}.count`, wholeFault(count, 1, 1_000_000));
  faults.note(`${field}.window_ms`, wholeFault(window, 1000, 60_000));
  for (const name of Object.keys(others)) faults.note(`${field}.${name}`, "is not a field there is");
}

function secretFault(scheme: SigningScheme, secret: unknown): string | null {
  try {
    if (typeof secret !== "string") return "must be a text";
    openSigner(scheme, secret);
    return null;
  } catch (error) {
    if (error instanceof TartanError) return Object.values(error.fields ?? {})[0] ?? error.message;
    throw error;
  }
}
