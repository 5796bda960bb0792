/**
 * Faults of what somebody asks for: gathered by field, told all together, and without repeating a value.
 */
import { TartanError } from "../../errors.ts";

/** field → what is wrong with it and how to mend it */
export class Faults {
  readonly fields: Record<string, string> = {};

  /** The first fault of a field is the one that is told. */
  note(field: string, fault: string | null): void {
    if (fault !== null) this.fields[field] ??= fault;
  }

  /** @throws TartanError `invalid_request` when there are any */
  refuse(what: string): void {
    const lines = Object.entries(this.fields).map(([field, fault]) => `${field} ${fault}`);
    if (lines.length === 0) return;
    throw new TartanError("invalid_request", `The ${what} is not usable: ${lines.join("; ")}.`, {
      fields: this.fields,
    });
  }
}

/** Postgres text cannot hold NUL, and UTF-8 no lone surrogate. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

export function textFault(value: unknown, longest: number): string | null {
  if (typeof value !== "string") return "must be a text";
  if (value.length > longest) return `must have at most ${longest} characters`;
  return UNSTORABLE.test(value) ? "has characters that cannot be stored" : null;
}

export function wholeFault(value: unknown, least: number, most: number): string | null {
  const fine = Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
  return fine ? null : `must be a whole number from ${least} to ${most}`;
}

export function oneOfFault(value: unknown, names: readonly string[]): string | null {
  return names.some((name) => name === value) ? null : `must be ${names.join(" or ")}`;
}

/** Names that `known` does not have: a mistyped one must not be passed over in silence. */
export function noteUnknown(faults: Faults, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) if (!known.includes(name)) faults.note(name, "is not a field there is");
}
