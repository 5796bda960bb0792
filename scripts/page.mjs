/** What the scripts that write docs/ from the code have in common. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..");
const fileOf = (name) => join(root, "docs", name);

export const code = (text) => `\`${text}\``;

/** A table whose columns stand below one another. @param rows the head first */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => [...cells[column]].length)));
  const padded = (text, column) => text + " ".repeat(widths[column] - [...text].length);
  const line = (cells) => `| ${cells.map(padded).join(" | ")} |`;
  return [line(rows[0]), line(widths.map((width) => "-".repeat(width))), ...rows.slice(1).map(line)].join("\n");
}

/** A page of docs/ as it is; empty where there is none. */
export const readPage = (name) => (existsSync(fileOf(name)) ? readFileSync(fileOf(name), "utf8") : "");

/** The page `name` with new text between its comments `<!-- list -->` and `<!-- /list -->`. */
export function withList(name, page, list, text) {
  const [begin, end] = [`<!-- ${list} -->`, `<!-- /${list} -->`];
  const [before, after] = [page.indexOf(begin) + begin.length, page.indexOf(end)];
  if (before < begin.length || after < before) throw new Error(`docs/${name} must have ${begin} and ${end}`);
  return `${page.slice(0, before)}\n\n${text}\n\n${page.slice(after)}`;
}

/** Writes a page of docs/; with --check it only says whether it is stale. */
export function writePage(name, page) {
  if (!process.argv.includes("--check")) return writeFileSync(fileOf(name), page);
  if (readPage(name) === page) return;
  console.error(`docs/${name} is stale: npm run docs`);
  process.exit(1);
}
