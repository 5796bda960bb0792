/**
 * Writes the list of tables in docs/mirror.md from the resources; with --check it only says whether it is stale. The rest of that page
 * is written by hand.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "docs/mirror.md");
const { endpointsOf, RESOURCES } = await import(join(root, "dist/resources/index.js"));

const code = (text) => `\`${text}\``;
const head = ["table", "one row is", "its key, behind `integration_id`", "read from", "for items with"];
const rows = RESOURCES.flatMap(({ tables, subject, fetch, products = [] }) =>
  tables.map(({ name, row, key }) => [
    code(`plaid.${name}`),
    row,
    [subject.column, ...key].map(code).join(", "),
    endpointsOf(fetch).map(code).join(", "),
    products.map(code).join(" or "),
  ]),
);
const widths = head.map((_, column) => Math.max(...[head, ...rows].map((cells) => cells[column].length)));
const line = (cells) => `| ${cells.map((text, column) => text.padEnd(widths[column])).join(" | ")} |`;
const list = [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");

const [BEGIN, END] = ["<!-- tables -->", "<!-- /tables -->"];
const page = readFileSync(file, "utf8");
const [before, after] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
if (before < BEGIN.length || after < before) throw new Error(`docs/mirror.md must have ${BEGIN} and ${END}`);
const written = `${page.slice(0, before)}\n\n${list}\n\n${page.slice(after)}`;

if (process.argv.includes("--check")) {
  if (written !== page) {
    console.error("docs/mirror.md is stale: npm run docs");
    process.exit(1);
  }
} else writeFileSync(file, written);
