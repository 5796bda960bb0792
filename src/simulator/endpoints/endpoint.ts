/**
 * An endpoint: a path, the shape of its request, and its answer. The server does the rest (credentials,
 * faults, rate limits, request_id), so that a file of this folder is one call of Plaid's API, or all calls about one kind of record, and nothing else.
 */
import { z } from "zod";
import { invalidField, missingFields, unknownFields, type PlaidApiError } from "../plaid-error.ts";
import type { Limit } from "../limits.ts";
import type { Simulation } from "../simulation.ts";
import type { Client } from "../world.ts";
import type { Item } from "../item.ts";

/** an answer that is JSON text already, without braces and request_id */
export class JsonMembers {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** an answer that is a file of ASCII text */
export class FileAnswer {
  readonly text: string;
  readonly contentType: "application/pdf";
  readonly headers: Readonly<Record<string, string>>;
  constructor(text: string, contentType: "application/pdf", headers: Readonly<Record<string, string>>) {
    this.text = text;
    this.contentType = contentType;
    this.headers = headers;
  }
}

export type Answer = Record<string, unknown> | JsonMembers | FileAnswer;

export interface Call {
  sim: Simulation;
  client: Client;
}

/**
 * - `none`: not about an Item
 * - `any`: about an Item in any state, as long as it exists
 * - `healthy`: reads the bank's data, so an Item that needs its user answers its error
 */
export type Needs = "none" | "any" | "healthy";

export interface Endpoint {
  path: string;
  needs: Needs;
  /** in the Sandbox; absent: Plaid publishes none */
  limit?: Limit | undefined;
  /** Throws Plaid's error for a body of the wrong shape. */
  parse(body: Record<string, unknown>): unknown;
  run(body: unknown, call: Call, item: Item | null): Answer;
}

const CREDENTIALS = { client_id: z.string().optional(), secret: z.string().optional() };

export type Shape = Record<string, z.ZodType>;
export type Body<S extends Shape> = z.output<z.ZodObject<S>>;

/** An endpoint that is not about an Item. */
export function endpoint<S extends Shape>(
  path: string,
  shape: S,
  run: (body: Body<S>, call: Call) => Answer,
  { open = false, limit }: { open?: boolean; limit?: Limit } = {},
): Endpoint {
  const all = { ...CREDENTIALS, ...shape };
  const schema = open ? z.looseObject(all) : z.strictObject(all);
  return {
    path,
    needs: "none",
    limit,
    parse: (body) => parse(schema, body),
    run: (body, call) => run(body as Body<S>, call),
  };
}

/** An endpoint that is about the Item of an access_token. */
export function itemEndpoint<S extends Shape>(
  path: string,
  needs: "any" | "healthy",
  shape: S,
  run: (item: Item, body: Body<S>, call: Call) => Answer,
  limit?: Limit,
): Endpoint {
  const schema = z.strictObject({ ...CREDENTIALS, access_token: z.string(), ...shape });
  return {
    path,
    needs,
    limit,
    parse: (body) => parse(schema, body),
    run: (body, call, item) => {
      if (!item) throw new Error(`${path} was called without an Item`);
      return run(item, body as Body<S>, call);
    },
  };
}

function parse(schema: z.ZodType, body: Record<string, unknown>): unknown {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw refusal(result.error.issues, body);
}

/** Plaid names all missing fields at once, then all unknown ones, then the first bad one. */
function refusal(issues: readonly z.core.$ZodIssue[], body: Record<string, unknown>): PlaidApiError {
  const missing = issues.filter((issue) => issue.code !== "unrecognized_keys" && at(body, issue.path) === undefined);
  if (missing.length > 0) return missingFields(missing.map((issue) => issue.path.join(".")));
  const unknown = issues.flatMap((issue) =>
    issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key].join(".")) : [],
  );
  if (unknown.length > 0) return unknownFields(unknown);
  const [first] = issues;
  return invalidField(`${first?.path.join(".") ?? "body"} is not valid: ${first?.message ?? "unknown"}`);
}

function at(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], body);
}
