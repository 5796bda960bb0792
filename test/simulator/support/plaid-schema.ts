/**
 * Plaid's own OpenAPI document as the judge of requests, answers and webhooks, and the types of Plaid's SDK for paths that are newer. The
 * document lies beside the repository, not in it; where it is missing, `openPlaidSchema` returns null and the tests that need it say so.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { parse } from "yaml";
import { sdkSchema } from "./sdk-schema.ts";

const FILE = path.join(import.meta.dirname, "../../../..", "shared/plaid/openapi-2020-09-14.yml");

const JSON_TYPE = "application/json";

type Node = Record<string, unknown>;

export interface PlaidSchema {
  /** the paths of the document that have an operation */
  paths: readonly string[];
  /** what is wrong with the body of a request, fields that Plaid does not have among it */
  requestFaults(path: string, body: Node): string[];
  /** the fields of a request, without the credentials */
  requestFields(path: string): { required: string[]; optional: string[] };
  /** the types of content that a 200 answer of this path may have */
  answerTypes(path: string): string[];
  /** what is wrong with a 200 answer of this path; [] when nothing is */
  answerFaults(path: string, answer: unknown): string[];
  errorFaults(answer: unknown): string[];
  /** what is wrong with an object by the schema of this name, fields that Plaid does not document among it */
  objectFaults(name: string, value: Node): string[];
  /** judged by every schema of this type and code that the body can be meant by; unknown kinds are faults */
  webhookFaults(body: Node): string[];
  /** `TYPE/CODE` of the webhooks that are about an Item */
  itemWebhooks: readonly string[];
}

export function openPlaidSchema(): PlaidSchema | null {
  if (!existsSync(FILE)) {
    process.stdout.write(`skipped: ${path.normalize(FILE)} is not here, so answers are not judged by Plaid's schema\n`);
    return null;
  }
  const document = parse(readFileSync(FILE, "utf8"), { maxAliasCount: -1 }) as Node;
  nullableToTypes(document);
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ $id: "plaid", ...document });
  const newer = sdkSchema();
  ajv.addSchema({ $id: "sdk", $defs: newer.$defs });
  const compiled = new Map<string, ValidateFunction>();
  const faultsBy = (pointer: string, value: unknown): string[] => {
    let validate = compiled.get(pointer);
    if (!validate) {
      validate = ajv.compile({ $ref: pointer.startsWith("sdk#") ? pointer : `plaid#${pointer}` });
      compiled.set(pointer, validate);
    }
    return validate(value)
      ? []
      : (validate.errors ?? []).map((e) => `${pointer}${e.instancePath}: ${e.message ?? "?"}`);
  };
  const schemas = (document["components"] as { schemas: Record<string, Node> }).schemas;
  const webhooks = webhookSchemas(schemas);
  const paths = document["paths"] as Record<string, Record<string, unknown>>;
  const schemaOf = (path: string, place: string, newest: "request" | "answer"): string => {
    if (paths[path]?.["post"])
      return `/paths/${path.replaceAll("/", "~1")}/post/${place}/content/application~1json/schema`;
    const type = newer.paths.get(path)?.[newest];
    if (!type) throw new Error(`neither Plaid's document nor its SDK has ${path}`);
    return `sdk#/$defs/${type}`;
  };
  const requestOf = (path: string): string => schemaOf(path, "requestBody", "request");
  const fieldsOf = (path: string): Node => {
    const pointer = requestOf(path);
    const known = pointer.startsWith("sdk#") ? newer.$defs[pointer.slice("sdk#/$defs/".length)] : at(document, pointer);
    const reference = (known as { $ref?: string })["$ref"];
    return (reference === undefined ? known : at(document, reference.slice(1))) as Node;
  };
  return {
    paths: Object.keys(paths).filter((path) => METHODS.some((method) => paths[path]?.[method])),
    requestFaults: (path, body) => {
      const known = (fieldsOf(path)["properties"] ?? {}) as Node;
      const unknown = Object.keys(body).filter((field) => !(field in known));
      return [...faultsBy(requestOf(path), body), ...unknown.map((field) => `${path} has no field ${field}`)];
    },
    requestFields: (path) => {
      const { properties = {}, required = [] } = fieldsOf(path) as { properties?: Node; required?: string[] };
      const all = Object.keys(properties).filter((field) => field !== "client_id" && field !== "secret");
      const needed = all.filter((field) => required.includes(field));
      return { required: needed, optional: all.filter((field) => !needed.includes(field)) };
    },
    answerTypes: (path) =>
      paths[path]
        ? Object.keys(at(document, `/paths/${path.replaceAll("/", "~1")}/post/responses/200/content`) as Node)
        : [JSON_TYPE],
    answerFaults: (path, answer) => faultsBy(schemaOf(path, "responses/200", "answer"), answer),
    objectFaults: (name, value) => {
      // What is newer than the document is in the types of the SDK.
      const type = newer.$defs[name]?.["properties"] as Node | undefined;
      const known = { ...(schemas[name]?.["properties"] as Node | undefined), ...type };
      const unknown = Object.keys(value).filter((field) => !(field in known));
      const pointer = name in schemas ? `/components/schemas/${name}` : `sdk#/$defs/${name}`;
      return [...faultsBy(pointer, value), ...unknown.map((field) => `${name} has no ${field}`)];
    },
    itemWebhooks: [...webhooks].flatMap(([kind, names]) =>
      names.some((name) => Object.hasOwn((schemas[name]?.["properties"] ?? {}) as Node, "item_id")) ? [kind] : [],
    ),
    errorFaults: (answer) => faultsBy("/components/schemas/PlaidError", answer),
    webhookFaults: (body) => {
      const kind = `${String(body["webhook_type"])}/${String(body["webhook_code"])}`;
      const names = webhooks.get(kind);
      if (!names) return [`${kind} has no schema`];
      const all = names.map((name) => faultsBy(`/components/schemas/${name}`, body));
      return all.some((faults) => faults.length === 0) ? [] : all.flat();
    },
  };
}

const METHODS = ["post", "get", "put", "patch", "delete"];

/** The node at a JSON pointer. */
function at(root: unknown, pointer: string): unknown {
  return pointer
    .split("/")
    .slice(1)
    .reduce((node, name) => (node as Node)[name.replaceAll("~1", "/")], root);
}

/** A schema or interface of a webhook: its type and code, and the fields of its body. */
export interface WebhookShape {
  name: string;
  type: string;
  code: string;
  fields: readonly string[];
  required: readonly string[];
}

/** Plaid's webhooks and its own examples of their bodies; null where the document is not here, which is printed. */
export function plaidWebhooks(): { shapes: WebhookShape[]; examples: Node[] } | null {
  if (!existsSync(FILE)) {
    process.stdout.write(
      `skipped: ${path.normalize(FILE)} is not here, so nothing is compared with Plaid's webhooks\n`,
    );
    return null;
  }
  const document = parse(readFileSync(FILE, "utf8"), { maxAliasCount: -1 }) as Node;
  const { schemas } = document["components"] as { schemas: Record<string, Node> };
  const shapes = [...webhookSchemas(schemas)].flatMap(([kind, names]) => {
    const [type = "", code = ""] = kind.split("/");
    return names.map((name) => {
      const { properties, required = [] } = schemas[name] as { properties: Node; required?: string[] };
      return { name, type, code, fields: Object.keys(properties), required };
    });
  });
  const named = new Set(shapes.map(({ name }) => name));
  const examples = Object.entries(schemas).flatMap(([name, schema]) =>
    named.has(name) ? (Object.values((schema["x-examples"] ?? {}) as Node) as Node[]) : [],
  );
  return { shapes, examples };
}

/** Their type and code stand in the descriptions only, in backticks and sometimes quotes. */
function webhookSchemas(schemas: Record<string, Node>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [name, schema] of Object.entries(schemas)) {
    const properties = schema["properties"] as Record<string, { description?: string }> | undefined;
    const [type, code] = [properties?.["webhook_type"], properties?.["webhook_code"]].map((one) =>
      one?.description?.trim().replaceAll(/[`"]/g, ""),
    );
    // A request to fire webhooks has these fields too, with sentences as descriptions.
    if (!/^[A-Z_]+$/.test(type ?? "") || !/^[A-Z_]+$/.test(code ?? "")) continue;
    found.set(`${type}/${code}`, [...(found.get(`${type}/${code}`) ?? []), name]);
  }
  return found;
}

/** OpenAPI 3.0 → JSON Schema: `nullable` becomes a type, an exclusive bound the bound itself, and what stands beside a $ref does not count. */
function nullableToTypes(node: unknown): void {
  if (Array.isArray(node)) return node.forEach(nullableToTypes);
  if (typeof node !== "object" || node === null) return;
  const schema = node as Node;
  if (typeof schema["$ref"] === "string") {
    for (const key of Object.keys(schema)) if (key !== "$ref") delete schema[key];
    return;
  }
  if (schema["nullable"] === true) {
    if (typeof schema["type"] === "string") schema["type"] = [schema["type"], "null"];
    if (Array.isArray(schema["enum"])) schema["enum"] = [...(schema["enum"] as unknown[]), null];
    if (Array.isArray(schema["allOf"])) {
      schema["anyOf"] = [{ allOf: schema["allOf"] }, { type: "null" }];
      delete schema["allOf"];
    }
    delete schema["nullable"];
  }
  for (const [flag, bound] of [
    ["exclusiveMinimum", "minimum"],
    ["exclusiveMaximum", "maximum"],
  ] as const) {
    if (typeof schema[flag] !== "boolean") continue;
    if (schema[flag]) schema[flag] = schema[bound];
    else delete schema[flag];
  }
  for (const [key, value] of Object.entries(schema)) {
    if (key !== "example" && key !== "x-examples" && key !== "examples") nullableToTypes(value);
  }
}
