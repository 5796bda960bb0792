/** The inputs of creating and changing a destination. */
import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { anyText, text, described, wholeNumber } from "../../model/schema.ts";
import { validate, type ValidationErrors } from "../../model/validation.ts";
import { TartanError } from "../../errors.ts";
import { ORDERINGS } from "../model/types.ts";
import { senderUrlError } from "../senders/registry.ts";
import type { UrlRules } from "../senders/sender.ts";
import { openSigner, SIGNING_SCHEMES, type SigningScheme } from "../senders/signing.ts";

const URL_MAX = 2000;
const HEADERS_MAX = 20;
const HEADER_NAME_MAX = 200;
const HEADER_VALUE_MAX = 4096;
const CA_MAX = 100_000;
const RETRIES_MAX = 50;
const WEEK_S = 604_800;
const DAY_S = 86_400;

/** Headers that Tartan, Plaid or the connection set. */
const RESERVED =
  /^(?:host|connection|content-(?:length|type|encoding)|expect|keep-alive|plaid-verification|te|trailer|transfer-encoding|upgrade|user-agent|(?:proxy|webhook|tartan)-.*)$/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Printable ASCII, and no space at either end, where it would be lost. */
const HEADER_VALUE = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;

const NO_NAME = "must have names of letters, digits and -";

const headerName = z.string().regex(HEADER_NAME, NO_NAME).max(HEADER_NAME_MAX, NO_NAME);
const headerValue = z
  .string()
  .max(HEADER_VALUE_MAX)
  .regex(HEADER_VALUE, "must be printable ASCII on one line, without spaces at its ends");

const headers = described(
  z
    .record(headerName, headerValue)
    .superRefine((given, context) => {
      const wrong = (message: string, ...path: string[]) => context.addIssue({ code: "custom", path, message });
      if (Object.keys(given).length > HEADERS_MAX) wrong(`must be at most ${HEADERS_MAX}`);
      const seen = new Set<string>();
      for (const name of Object.keys(given).slice(0, HEADERS_MAX)) {
        const lower = name.toLowerCase();
        if (RESERVED.test(lower)) wrong("is set by Tartan or by HTTP itself", name);
        if (seen.has(lower)) wrong("is there twice", name);
        seen.add(lower);
      }
    })
    .nullable(),
  "Headers to send along, such as `Authorization`; at most 20. Sealed before they touch the disk, and never shown. Null: none.",
);

const NO_CERTIFICATE = "must be certificates in PEM (-----BEGIN CERTIFICATE-----)";
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function isReadable(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

const certificates = z
  .string()
  .max(CA_MAX)
  .refine((pem) => !pem.includes("PRIVATE KEY"), `${NO_CERTIFICATE}, without any private key`)
  .refine((pem) => {
    const found = pem.match(CERTIFICATE) ?? [];
    return found.length > 0 && found.every(isReadable);
  }, NO_CERTIFICATE);

const url = described(
  z
    .string()
    .min(1)
    .max(URL_MAX)
    .refine(
      (given) => URL.canParse(given) && new URL(given).href.length <= URL_MAX,
      `must be a URL of at most ${URL_MAX} characters, such as https://example.com/webhooks`,
    ),
  "Where it is posted to: https (http only if this server allows it), without credentials or a fragment. Addresses that are " +
    "private or otherwise not public are refused unless this server allows them.",
);

export const ordering = described(
  z.enum(ORDERINGS),
  "`parallel`, or `per_item`: the events of an Item or another subject one after the other, so that a failing one holds those behind it.",
);
export const signingScheme = described(
  z.enum(SIGNING_SCHEMES),
  "`v1`: HMAC-SHA256, one secret for both sides; `v1a`: Ed25519.",
);

const settings = {
  name: anyText(200, "Yours to choose."),
  description: anyText(2000, "Yours to choose."),
  headers,
  ca: described(certificates.nullable(), "A certificate authority to trust besides the usual ones, as PEM."),
  timeout_ms: wholeNumber(1000, 30_000, "The whole exchange must be over by then, in milliseconds."),
  schedule: described(
    z.array(wholeNumber(1, WEEK_S, "Seconds before a retry.")).max(RETRIES_MAX),
    "Seconds before each retry; 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h when absent.",
  ),
  rate_limit: described(
    z
      .strictObject({
        count: wholeNumber(1, 1_000_000, "At most so many attempts…"),
        window_ms: wholeNumber(1000, 60_000, "…in any span of so many milliseconds.").default(1000),
      })
      .nullable(),
    "Null: none.",
  ),
  concurrency: wholeNumber(1, 256, "Attempts at once; 8 when absent."),
  ordering,
  disable_after_s: wholeNumber(
    3600,
    31_536_000,
    "Disabled after so many seconds of nothing but failures; five days when absent.",
  ),
};

export const DestinationChange = z.strictObject({ url, ...settings }).partial();
export type DestinationChange = z.input<typeof DestinationChange>;

export const NewDestination = z.strictObject({
  ...DestinationChange.shape,
  url,
  signing_scheme: described(
    signingScheme.default("v1"),
    "`v1` (HMAC-SHA256), which every library has, or `v1a` (Ed25519).",
  ),
  signing_secret: text(200, "Yours, if you have one already: `whsec_…` or `whsk_…`; a new one when absent.").optional(),
});
export type NewDestination = z.input<typeof NewDestination>;

export const KeyRotation = z.strictObject({
  grace_s: wholeNumber(0, WEEK_S, "So many seconds longer the key before signs too; 0: it stops at once.").default(
    DAY_S,
  ),
  scheme: described(signingScheme, "The same as before when absent.").optional(),
  secret: text(200, "Yours, if you have one already; a new one when absent.").optional(),
});
export type KeyRotation = z.input<typeof KeyRotation>;

/** @throws TartanError `invalid_request` naming each field that has an error */
export function checkNewDestination(given: NewDestination, rules: UrlRules): z.output<typeof NewDestination> {
  const { value, errors } = validate(NewDestination, given);
  addUrlError(errors, given.url, rules);
  errors.add("signing_secret", secretError(given.signing_scheme ?? "v1", given.signing_secret));
  errors.throwIfAny("destination");
  return value as z.output<typeof NewDestination>;
}

/** @throws TartanError `invalid_request` naming each field that has an error */
export function checkDestinationChange(given: DestinationChange, rules: UrlRules): z.output<typeof DestinationChange> {
  const { value, errors } = validate(DestinationChange, given);
  addUrlError(errors, given.url, rules);
  errors.throwIfAny("destination");
  return value as z.output<typeof DestinationChange>;
}

/**
 * @param known the scheme of the newest key
 * @throws TartanError `invalid_request` naming each field that has an error
 */
export function checkRotation(
  given: KeyRotation,
  known: SigningScheme,
): z.output<typeof KeyRotation> & { scheme: SigningScheme } {
  const { value, errors } = validate(KeyRotation, given);
  const { scheme = known, secret } = given;
  errors.add("secret", secretError(scheme, secret));
  errors.throwIfAny("rotation");
  return { ...(value as z.output<typeof KeyRotation>), scheme };
}

/** What the schema cannot know: where this server lets destinations be. */
function addUrlError(errors: ValidationErrors, given: unknown, rules: UrlRules): void {
  if (typeof given === "string" && URL.canParse(given)) errors.add("url", senderUrlError(new URL(given), rules));
}

function secretError(scheme: SigningScheme, secret: unknown): string | null {
  if (typeof secret !== "string" || !SIGNING_SCHEMES.includes(scheme)) return null;
  try {
    openSigner(scheme, secret);
    return null;
  } catch (error) {
    if (error instanceof TartanError) return Object.values(error.fields ?? {})[0] ?? error.message;
    throw error;
  }
}
