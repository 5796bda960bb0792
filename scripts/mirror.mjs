/**
 * Writes the list of tables in docs/mirror.md from the resources; with --check it only says whether it is stale. The rest of that page
 * is written by hand.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "docs/mirror.md");
const { RESOURCES } = await import(join(root, "dist/resources/index.js"));

const code = (text) => `\`${text}\``;
const BILLED = {
  once: "where you enable it: Plaid bills it",
  each: "where you enable it, and name it: Plaid bills each request",
};
const requestedOnly = ({ billed, products = [] }) =>
  billed ? BILLED[billed] : products.length > 0 ? `where the item has ${products.map(code).join(" or ")}` : "";

const head = ["table", "one row is", "requested only"];
const rows = RESOURCES.filter(({ subject }) => subject.kind !== "processor_account").flatMap((resource) =>
  resource.tables.map(({ name, row }) => [code(`plaid.${name}`), row, requestedOnly(resource)]),
);

function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((text, column) => text.padEnd(widths[column])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

const page = readFileSync(file, "utf8");
const [begin, end] = ["<!-- tables -->", "<!-- /tables -->"];
const [before, after] = [page.indexOf(begin) + begin.length, page.indexOf(end)];
if (before < begin.length || after < before) throw new Error(`docs/mirror.md must have ${begin} and ${end}`);
const written = `${page.slice(0, before)}\n\n${table(head, rows)}\n\n${page.slice(after)}`;

if (process.argv.includes("--check")) {
  if (written !== page) {
    console.error("docs/mirror.md is stale: npm run docs");
    process.exit(1);
  }
} else writeFileSync(file, written);
