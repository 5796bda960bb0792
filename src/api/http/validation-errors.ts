/**
 * Turns what a schema found wrong into one sentence a field, each saying how to mend it. An unknown name is answered
 * with the known ones: a filter that is misspelt and silently ignored would return everything.
 */
import { z } from "zod";

/** The part of a validation fault that fastify-type-provider-zod hands on. */
interface Fault {
  keyword: string;
  instancePath: string;
  message?: string;
  params: Record<string, unknown>;
}

type Schemas = { body?: unknown; querystring?: unknown; params?: unknown } | undefined;

/** @returns field (its path joined by dots; `body` for the whole body) → what is wrong with it and how to mend it */
export function faultFields(
  faults: readonly unknown[],
  part: string | undefined,
  schemas: Schemas,
): Record<string, string> {
  const known = knownNames(part === "querystring" ? schemas?.querystring : schemas?.body);
  // A map, since a name is anyone's to choose, and `__proto__` is one.
  const fields = new Map<string, string>();
  for (const fault of faults as Fault[]) {
    const path = fault.instancePath.split("/").filter((step) => step !== "");
    if (fault.keyword === "unrecognized_keys") {
      for (const name of fault.params["keys"] as string[])
        fields.set([...path, name].join("."), unknownName(part, known));
    } else {
      const field = path.join(".") || "body";
      if (!fields.has(field)) fields.set(field, sentence(fault, field));
    }
  }
  return Object.fromEntries(fields);
}

function knownNames(schema: unknown): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unknownName(part: string | undefined, known: string[]): string {
  const kind = part === "querystring" ? "query parameter" : "field";
  if (known.length === 0) return `is not a known ${kind}; there are none here`;
  return `is not a known ${kind}; known are ${known.join(", ")}`;
}

function sentence({ keyword, message, params }: Fault, field: string): string {
  if (keyword === "invalid_type") {
    if (field === "body") return "must be a JSON object";
    const missing = message?.endsWith("received undefined") === true;
    return missing ? "is required" : `must be ${article(String(params["expected"]))}`;
  }
  if (keyword === "invalid_value") return `must be one of ${(params["values"] as unknown[]).map(String).join(", ")}`;
  if (keyword === "too_small" && params["origin"] === "string" && params["minimum"] === 1) return "must not be empty";
  if (keyword === "too_small") return `must be at least ${size(params, "minimum")}`;
  if (keyword === "too_big") return `must be at most ${size(params, "maximum")}`;
  return message ?? "is not valid";
}

function article(expected: string): string {
  if (expected === "int" || expected === "number") return "a whole number";
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`;
}

function size(params: Record<string, unknown>, bound: "minimum" | "maximum"): string {
  const unit = { string: " characters", array: " entries" }[String(params["origin"])] ?? "";
  return `${String(params[bound])}${unit}`;
}
