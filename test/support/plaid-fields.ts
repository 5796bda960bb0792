/**
 * What Plaid says of the fields of its answers: its OpenAPI document, which lies beside the repository, and the types of its SDK, which
 * are newer and know no formats of texts. A field that both have is as the document says.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { sdkSchema } from "../simulator/support/sdk-schema.ts";

const FILE = path.join(import.meta.dirname, "../../..", "shared/plaid/openapi-2020-09-14.yml");

type Node = Record<string, unknown>;

/** One field, or the answer itself. */
export interface Field {
  types: ReadonlySet<string>;
  format: string | null;
  /** null: only the SDK has the field, and its types know no formats */
  description: string | null;
  deprecated: boolean;
  /** of an object that has named fields */
  fields: ReadonlyMap<string, Field>;
  required: ReadonlySet<string>;
  /** of an array */
  element: Field | null;
}

export interface PlaidFields {
  /** the answer of a path; null: Plaid has no such path */
  answerOf(path: string): Field | null;
}

/** Says on the output what is not compared where the document is not here. */
export function openPlaidFields(): PlaidFields {
  const here = existsSync(FILE);
  if (!here)
    process.stdout.write(`skipped: ${path.normalize(FILE)} is not here, so formats of texts are not compared\n`);
  const document = here ? (parse(readFileSync(FILE, "utf8"), { maxAliasCount: -1 }) as Node) : {};
  const sdk = sdkSchema();
  return {
    answerOf(route) {
      const answer = at(document, [
        "paths",
        route,
        "post",
        "responses",
        "200",
        "content",
        "application/json",
        "schema",
      ]);
      const name = sdk.paths.get(route)?.answer;
      const sources: Source[] = [];
      if (answer) sources.push({ root: document, node: answer as Node });
      if (name && sdk.$defs[name]) sources.push({ root: sdk as unknown as Node, node: sdk.$defs[name] });
      return sources.length === 0 ? null : fieldOf(sources);
    },
  };
}

/** A schema and the document that its references lead into. */
interface Source {
  root: Node;
  node: Node;
}

const at = (root: unknown, names: readonly string[]): unknown =>
  names.reduce<unknown>((node, name) => (node as Node | undefined)?.[name], root);

/** The field that several sources describe; the first that has something to say of it is right. Read when it is asked for. */
function fieldOf(sources: readonly Source[]): Field {
  const parts = sources.map(partsOf);
  const [first = []] = parts.filter((each) => each.length > 0);
  const all = parts.flat();
  const known = all.filter(({ root }) => "openapi" in root);
  const typed = first.flatMap(({ node }) => node["type"] ?? (node["enum"] ? "string" : []));
  const text = (name: string) => first.map(({ node }) => node[name]).find((value) => typeof value === "string");
  return {
    types: new Set(typed.map(String)),
    format: (text("format") as string | undefined) ?? null,
    description: known.length === 0 ? null : known.map(({ node }) => node["description"] ?? "").join(" "),
    deprecated: all.some(({ node }) => node["deprecated"] === true),
    required: new Set(all.flatMap(({ node }) => (node["required"] as string[] | undefined) ?? [])),
    get fields() {
      return fieldsOf(all);
    },
    get element() {
      const elements = all.flatMap(({ root, node }) => (node["items"] ? [{ root, node: node["items"] as Node }] : []));
      return elements.length === 0 ? null : fieldOf(elements);
    },
  };
}

function fieldsOf(parts: readonly Source[]): Map<string, Field> {
  const named = new Map<string, Source[]>();
  for (const { root, node } of parts) {
    for (const [name, inner] of Object.entries((node["properties"] ?? {}) as Record<string, Node>))
      named.set(name, [...(named.get(name) ?? []), { root, node: inner }]);
  }
  return new Map([...named].map(([name, sources]) => [name, fieldOf(sources)]));
}

/** A schema with those that it refers to or is put together from. */
function partsOf(source: Source): Source[] {
  const { root, node } = source;
  const reference = node["$ref"];
  if (typeof reference === "string") return partsOf({ root, node: at(root, reference.split("/").slice(1)) as Node });
  const inner = ["allOf", "anyOf", "oneOf"].flatMap((name) => (node[name] as Node[] | undefined) ?? []);
  const others = inner.filter((each) => each["type"] !== "null").flatMap((each) => partsOf({ root, node: each }));
  return [source, ...others];
}
