/**
 * The types of Plaid's SDK as JSON Schema, for the paths that are newer than Plaid's document. The SDK's source is generated, so its
 * declarations are read line by line: interfaces, enums and unions of these.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

type Schema = Record<string, unknown>;

export interface SdkSchema {
  /** by the names of its types; each refers to others as `#/$defs/<name>` */
  $defs: Record<string, Schema>;
  /** the types of each path's request and answer */
  paths: Map<string, { request: string; answer: string }>;
}

let read: SdkSchema | undefined;

export function sdkSchema(): SdkSchema {
  if (read) return read;
  const folder = path.dirname(createRequire(import.meta.url).resolve("plaid/package.json"));
  const source = readFileSync(path.join(folder, "api.ts"), "utf8");
  read = { $defs: definitions(source), paths: pathsOf(source) };
  return read;
}

function definitions(source: string): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  const declared = /^export (interface|enum) (\w+) \{\n([\s\S]*?)^\}/gm;
  for (const [, kind, name = "", body = ""] of source.matchAll(declared)) {
    found[name] = kind === "enum" ? enumOf(body) : interfaceOf(body);
  }
  for (const [, name = "", type = ""] of source.matchAll(/^export type (\w+) = (.+);$/gm)) found[name] = schemaOf(type);
  return found;
}

function enumOf(body: string): Schema {
  const values = [...body.matchAll(/ = (?:'(.*)'|(-?\d+))/g)].map(([, text, number]) => text ?? Number(number));
  return { enum: values };
}

function interfaceOf(body: string): Schema {
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const [, name = "", optional, type = ""] of body.matchAll(/^    '?([\w$-]+)'?(\?)?: (.+);$/gm)) {
    properties[name] = schemaOf(type);
    if (!optional) required.push(name);
  }
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}) };
}

const PLAIN: Record<string, Schema> = {
  string: { type: "string" },
  number: { type: "number" },
  boolean: { type: "boolean" },
  object: { type: "object" },
  null: { type: "null" },
  any: {},
};

function schemaOf(type: string): Schema {
  const text = type.trim();
  const plain = PLAIN[text];
  if (plain) return plain;
  const members = text.startsWith("{") ? [text] : split(text, " | ");
  if (members.length > 1) return { anyOf: members.map(schemaOf) };
  const [, element] = /^(?:Array|Set)<(.+)>$/.exec(text) ?? [];
  if (element !== undefined) return { type: "array", items: schemaOf(element) };
  if (text.startsWith("{")) return mapOf(text);
  const both = split(text, " & ");
  if (both.length > 1) return { allOf: both.map(schemaOf) };
  return { $ref: `#/$defs/${text}` };
}

/** `{ [key: string]: T; }`, or that with ` | null` behind it */
function mapOf(text: string): Schema {
  const [, value = "any", rest = ""] = /^\{ \[key: string\]: (.+); \}(.*)$/.exec(text) ?? [];
  const map = { type: "object", additionalProperties: schemaOf(value) };
  return rest.includes("null") ? { anyOf: [map, { type: "null" }] } : map;
}

/** The members of a union, without those that are inside of brackets. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "<") depth += 1;
    if (text[at] === ">") depth -= 1;
    if (depth !== 0 || !text.startsWith(separator, at)) continue;
    parts.push(text.slice(from, at));
    from = at + separator.length;
  }
  return [...parts, text.slice(from)];
}

function pathsOf(source: string): Map<string, { request: string; answer: string }> {
  const found = new Map<string, { request: string; answer: string }>();
  const answers = new Map(
    [...source.matchAll(/^ {4}public async (\w+)|^ {8}(\w+)\(.*\): AxiosPromise<(.+)> \{$/gm)].map(
      ([, , name = "", answer = ""]) => [name, answer],
    ),
  );
  const functions = /^ {8}(\w+): async \((?:(\w+): (\w+), )?.*?\n[\s\S]*?localVarPath = `([^`]+)`/gm;
  for (const [, name = "", , request = "", route = ""] of source.matchAll(functions)) {
    found.set(route, { request, answer: answers.get(name) ?? "" });
  }
  return found;
}
