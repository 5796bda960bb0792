/** Validation errors, collected by field and thrown together. They never repeat a value, which may be a secret. */
import { TartanError } from "../../errors.ts";

/** field → what is wrong with it and how to fix it */
export class ValidationErrors {
  readonly fields: Record<string, string> = {};

  /** Adds an error; null adds nothing. A field keeps its first error. */
  add(field: string, error: string | null): void {
    if (error !== null) this.fields[field] ??= error;
  }

  /** @throws TartanError `invalid_request` when there are errors */
  throwIfAny(what: string): void {
    const lines = Object.entries(this.fields).map(([field, error]) => `${field} ${error}`);
    if (lines.length === 0) return;
    throw new TartanError("invalid_request", `The ${what} is not usable: ${lines.join("; ")}.`, {
      fields: this.fields,
    });
  }
}

/** Postgres text cannot hold NUL, and UTF-8 no lone surrogate. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

export function textError(value: unknown, longest: number): string | null {
  if (typeof value !== "string") return "must be a text";
  if (value.length > longest) return `must have at most ${longest} characters`;
  return UNSTORABLE.test(value) ? "has characters that cannot be stored" : null;
}

export function integerError(value: unknown, least: number, most: number): string | null {
  const fine = Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
  return fine ? null : `must be a whole number from ${least} to ${most}`;
}

export function oneOfError(value: unknown, names: readonly string[]): string | null {
  return names.some((name) => name === value) ? null : `must be ${names.join(" or ")}`;
}

/** Adds an error for each field that is not in `known`, so that a mistyped name is not ignored silently. */
export function addUnknownFields(errors: ValidationErrors, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) if (!known.includes(name)) errors.add(name, "is not a field there is");
}
