/**
 * Checks inputs against their schemas. An error has one sentence for each invalid field, which says
 * what the value must be and never repeats the value, which may be a secret.
 */
import { z } from "zod";
import { TartanError } from "../errors.ts";
import { didYouMean } from "../suggest.ts";

/** Validation errors, collected by field and thrown together. */
export class ValidationErrors {
  /** A map, since `__proto__` is a name that anyone may send. */
  readonly #fields = new Map<string, string>();

  /** field (its path joined by dots) → what is wrong with it and how to fix it */
  get fields(): Record<string, string> {
    return Object.fromEntries(this.#fields);
  }

  /** Adds an error; null adds nothing. A field keeps its first error, and no more than a hundred fields are kept. */
  add(field: string, error: string | null): void {
    if (error === null || this.#fields.has(field) || this.#fields.size >= FIELDS_MAX) return;
    this.#fields.set(field, error);
  }

  /** The errors as one error of the closed vocabulary, or null where there are none. */
  toError(what: string): TartanError | null {
    if (this.#fields.size === 0) return null;
    const lines = [...this.#fields].slice(0, FIELDS_NAMED).map(([field, error]) => `${field} ${error}`);
    const { fields } = this;
    return new TartanError("invalid_request", `The ${what} is not usable: ${lines.join("; ")}.`, { fields });
  }

  /** @throws TartanError `invalid_request` when there are errors */
  throwIfAny(what: string): void {
    const error = this.toError(what);
    if (error) throw error;
  }
}

/** A body of a megabyte can hold a hundred thousand errors, and the answer would be larger than the request. */
const FIELDS_MAX = 100;
/** How many fields the message names. */
const FIELDS_NAMED = 5;

/** The value as the schema reads it, and its errors; the value is undefined if there are any. */
export function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  noun = "field",
): { value: z.output<T> | undefined; errors: ValidationErrors } {
  const result = schema.safeParse(value, { error: sentenceOf });
  const errors = new ValidationErrors();
  for (const issue of result.error?.issues ?? []) addIssue(errors, schema, issue, noun);
  return { value: result.data, errors };
}

/**
 * The value as the schema reads it, with its defaults.
 * @param what the noun in the message: `The destination is not usable: …`
 * @throws TartanError `invalid_request` naming each field that has an error
 */
export function checked<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = validate(schema, value);
  result.errors.throwIfAny(what);
  return result.value as z.output<T>;
}

/** The error of a single value, or null. */
export const errorOf = (schema: z.ZodType, value: unknown): string | null =>
  Object.values(validate(schema, value).errors.fields)[0] ?? null;

type Issue = z.core.$ZodIssue;

function addIssue(errors: ValidationErrors, schema: z.ZodType, issue: Issue, noun: string): void {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    const known = namesOf(schemaAt(schema, path));
    for (const name of issue.keys) errors.add([...path, name].join("."), unknownName(noun, known));
  } else if (issue.code === "invalid_key") {
    // The error does not repeat the name of an entry: it may be a value in the wrong place.
    errors.add(path.slice(0, -1).join("."), issue.issues[0]?.message ?? issue.message);
  } else if (path.length === 0 && issue.code === "invalid_type" && schema instanceof z.ZodObject)
    errors.add("body", "must be a JSON object");
  else errors.add(path.join(".") || "body", issue.message);
}

/** Ignoring a misspelt filter would return everything, so the error for an unknown name lists the known ones. */
function unknownName(noun: string, known: readonly string[]): string {
  if (known.length === 0) return `is not a known ${noun}; there are none here`;
  return `is not a known ${noun}; known are ${known.join(", ")}`;
}

const namesOf = (schema: unknown): string[] => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []);

/** The bounds of a whole number in a schema. */
export function boundsOf(schema: z.ZodType): { least: number; most: number } {
  const number = withoutWrappers(schema);
  if (number instanceof z.ZodNumber && number.minValue !== null && number.maxValue !== null)
    return { least: number.minValue, most: number.maxValue };
  throw new TartanError("internal", "a schema without bounds was asked for its bounds");
}

function schemaAt(schema: z.core.$ZodType, path: readonly string[]): unknown {
  let at: unknown = withoutWrappers(schema);
  for (const step of path) {
    if (at instanceof z.ZodObject) at = at.shape[step] as unknown;
    else if (at instanceof z.ZodArray) at = at.element;
    else return undefined;
    at = withoutWrappers(at);
  }
  return at;
}

/** The inner schema of an optional or nullable schema, or of one with a default. */
function withoutWrappers(schema: unknown): unknown {
  let at = schema;
  while (at instanceof z.ZodType && "innerType" in at.def) at = at.def.innerType;
  return at;
}

/** The text of an issue whose schema has none. */
const sentenceOf: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined ? "is required" : `must be ${TYPES[issue.expected] ?? `a ${issue.expected}`}`;
    case "invalid_value":
      return `must be ${oneOf(issue.values.map(String))}${meant(issue.input, issue.values.map(String))}`;
    case "too_small":
      if (issue.origin === "string" && issue.minimum === 1) return "must not be empty";
      return `must be at least ${sizeOf(issue.origin, Number(issue.minimum))}`;
    case "too_big":
      return `must be at most ${sizeOf(issue.origin, Number(issue.maximum))}`;
    default:
      return undefined;
  }
};

/** The known value that a short text was probably meant to be; the text itself is not repeated. */
const meant = (input: unknown, values: readonly string[]): string =>
  typeof input === "string" && input.length <= MISTYPED_MAX ? didYouMean(input, values) : "";

const MISTYPED_MAX = 100;

/** zod's name of a type → its name in errors */
const TYPES: Readonly<Record<string, string>> = {
  object: "an object",
  record: "an object",
  array: "an array",
  int: "a whole number",
  number: "a whole number",
  boolean: "true or false",
};

const oneOf = (values: readonly string[]): string =>
  values.length > 2 ? `one of ${values.join(", ")}` : values.join(" or ");

function sizeOf(origin: string, size: number): string {
  if (origin === "string") return `${size} characters`;
  if (origin === "array") return size === 1 ? "1 entry" : `${size} entries`;
  return String(size);
}
