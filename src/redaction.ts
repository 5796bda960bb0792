/**
 * Cuts tokens and secrets out of the fields of a log line. It recognises them by the field's name, at any depth and in any
 * spelling (`access_token`, `accessToken`, `Access-Token`), and by the form of Plaid's tokens, in every text.
 */
import { describeError } from "./errors.ts";
import { cutLookalikes, isTokenName, MARK } from "./tokens.ts";

/** Ends of names, without hyphens and underscores. */
const SECRET_NAME =
  /(?:secret|password|passphrase|authorization|cookie|masterkeys?|adminkey|apikey|plaidverification|jwt|body|payload)$/i;
const DEPTH_MAX = 8;

const isSecretName = (name: string): boolean => isTokenName(name) || SECRET_NAME.test(name.replaceAll(/[-_]/g, ""));

/** A copy of the fields without secrets. Instances of classes, such as errors, are left to their serializers. */
export function redact(fields: Record<string, unknown>): Record<string, unknown> {
  return redactFields(fields, 0);
}

/** Text without what looks like a token of Plaid's. */
export const redactText = cutLookalikes;

function redactFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      isSecretName(name) && value != null ? MARK : redactValue(value, depth),
    ]),
  );
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= DEPTH_MAX) return MARK;
  if (value instanceof Error) return depth === 0 ? value : redactFields(describeError(value), depth + 1);
  if (Array.isArray(value)) return value.map((each) => redactValue(each, depth + 1));
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? redactFields(value, depth + 1) : value;
}
