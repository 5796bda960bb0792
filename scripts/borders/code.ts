/**
 * Reads a TypeScript file: what it imports, at any depth and in any form, and the texts of its literals. A relative path to a
 * source file counts as an import wherever it stands, so that no form of importing can be forgotten.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync, visitorKeys } from "oxc-parser";
import { declaredIn } from "./sql.ts";
import { HOLE } from "./tokens.ts";

export interface Import {
  /** Absolute path, or null when it is computed or no relative one. */
  readonly path: string | null;
  readonly line: number;
}

export interface Text {
  readonly text: string;
  /** The line of an offset in the text. */
  line(offset: number): number;
  /** The tables that comments around the literal say that it writes. */
  readonly declared: readonly string[];
}

export interface Code {
  readonly imports: readonly Import[];
  readonly texts: readonly Text[];
  /** Why the file cannot be read, if it cannot. */
  readonly errors: readonly string[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** A part of a literal's text and where it stands in the file. */
interface Piece {
  readonly text: string;
  readonly start: number;
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value;

function eachChild(node: Node, visit: (child: Node) => void): void {
  for (const key of visitorKeys[node.type] ?? []) {
    const value = node[key];
    if (Array.isArray(value)) for (const child of value.filter(isNode)) visit(child);
    else if (isNode(value)) visit(value);
  }
}

/** Escapes become blanks of the same length, so that offsets stay; those that spell a letter are taken as they are meant. */
const plain = (raw: string, cooked: string): string =>
  /\\[ux\d]/.test(raw) ? cooked : raw.replaceAll(/\\(['"`])/g, " $1").replaceAll(/\\[\s\S]/g, "  ");

const isString = (node: Node): boolean => node.type === "Literal" && typeof node["value"] === "string";
const isSum = (node: Node): boolean => node.type === "BinaryExpression" && node["operator"] === "+";

/** The text of a literal or a sum of literals, with holes; what is in the holes is pushed to `rest`. */
function pieces(node: Node, source: string, rest: Node[]): Piece[] {
  if (isString(node)) {
    return [{ text: plain(source.slice(node.start + 1, node.end - 1), String(node["value"])), start: node.start + 1 }];
  }
  if (node.type === "TemplateLiteral") {
    rest.push(...(node["expressions"] as Node[]));
    return (node["quasis"] as Node[]).flatMap((quasi, index) => {
      const { raw, cooked } = quasi["value"] as { raw: string; cooked: string | null };
      // Where a quasi begins, after its backquote or brace, is found in the source: parsers differ on it.
      const start = source.indexOf(raw, quasi.start);
      const text = { text: plain(raw, cooked ?? raw), start };
      return index === 0 ? [text] : [{ text: HOLE, start }, text];
    });
  }
  if (isSum(node)) {
    return [...pieces(node["left"] as Node, source, rest), ...pieces(node["right"] as Node, source, rest)];
  }
  rest.push(node);
  return [{ text: HOLE, start: node.start }];
}

const isLiteral = (node: Node): boolean =>
  isString(node) ||
  node.type === "TemplateLiteral" ||
  (isSum(node) && [node["left"], node["right"]].some((side) => isLiteral(side as Node)));

/** Line numbers of offsets, from 1. */
export function liner(source: string): (offset: number) => number {
  const ends = [...source.matchAll(/\n/g)].map(({ index }) => index);
  return (offset) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}

const IMPORTS = new Set([
  "ImportDeclaration",
  "ExportAllDeclaration",
  "ExportNamedDeclaration",
  "ImportExpression",
  "TSImportType",
]);
const RELATIVE = /^\.{1,2}(\/|$)/;
const SOURCE = /\.[cm]?[jt]sx?$/;

/** A path of a source file or folder, with any ending. */
const namesSource = (path: string): boolean =>
  SOURCE.test(path)
    ? existsSync(path) || existsSync(path.replace(/\.([cm]?)js(x?)$/, ".$1ts$2"))
    : existsSync(`${path}.ts`) || existsSync(join(path, "index.ts"));

interface Region {
  readonly end: number;
  readonly declared: readonly string[];
}

/** The declarations of each top-level statement: of the comments in it and of those between it and the one before. */
function regionsOf(program: Node, comments: readonly { value: string; start: number }[]): Region[] {
  const declaring = comments.filter(({ value }) => value.includes("writes:"));
  let begin = 0;
  return (program["body"] as Node[]).map(({ end }) => {
    const inside = declaring.filter(({ start }) => start >= begin && start < end);
    begin = end;
    return { end, declared: inside.flatMap(({ value }) => declaredIn(value)) };
  });
}

const REFERENCE = /^\/\s*<reference\s+path=["']([^"']+)["']/;

/** Reads one file. @param file absolute */
export function readCode(file: string, source: string): Code {
  const { program, comments, errors } = parseSync(file, source);
  const root = program as unknown as Node;
  const line = liner(source);
  const regions = regionsOf(root, comments);
  const imports: Import[] = [];
  const texts: Text[] = [];
  const from = (path: string): string => join(dirname(file), path);

  const literal = (node: Node, importing: boolean): void => {
    const rest: Node[] = [];
    const parts = pieces(node, source, rest);
    const text = parts.map((part) => part.text).join("");
    const at = line(node.start);
    const computed = text.includes(HOLE);
    if (importing && (computed || /^(?:[/#]|file:)/.test(text))) imports.push({ path: null, line: at });
    else if (!computed && RELATIVE.test(text) && (importing || namesSource(from(text)))) {
      imports.push({ path: from(text), line: at });
    }
    const declared = regions.find(({ end }) => node.start < end)?.declared ?? [];
    texts.push({ text, declared, line: (offset) => line(sourceOffset(parts, offset)) });
    for (const inner of rest) visit(inner);
  };
  const visit = (node: Node): void => {
    if (isLiteral(node)) return literal(node, false);
    const path = IMPORTS.has(node.type) ? node["source"] : null;
    if (isNode(path)) {
      if (isLiteral(path)) literal(path, true);
      else imports.push({ path: null, line: line(path.start) });
    }
    eachChild(node, (child) => {
      if (child !== path) visit(child);
    });
  };
  visit(root);
  for (const { value, start } of comments) {
    const path = REFERENCE.exec(value)?.[1];
    if (path !== undefined) imports.push({ path: from(path), line: line(start) });
  }
  return { imports, texts, errors: errors.map(({ message }) => message) };
}

function sourceOffset(parts: readonly Piece[], offset: number): number {
  let passed = 0;
  for (const { text, start } of parts) {
    if (offset < passed + text.length) return start + offset - passed;
    passed += text.length;
  }
  return parts.at(-1)?.start ?? 0;
}
