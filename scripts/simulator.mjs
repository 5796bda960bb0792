/**
 * Writes the list of Plaid's endpoints in docs/simulator.md, by product, with which of them the simulator serves; with --check it only
 * says whether it is stale. plaid-endpoints.json beside this file has all endpoints; a test compares it with Plaid's document and SDK.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "docs/simulator.md");
const { document, sdk, newer, products } = JSON.parse(readFileSync(join(root, "scripts/plaid-endpoints.json"), "utf8"));
const { PLAID_PATHS } = await import(join(root, "dist/simulator/plaid-api.js"));

const served = new Set(PLAID_PATHS);
const isNewer = new Set(newer);
const code = (text) => `\`${text}\``;
const count = (paths) => `${paths.filter((path) => served.has(path)).length} of ${paths.length}`;
const table = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((text, column) => text.padEnd(widths[column])).join(" | ")} |`;
  return [line(rows[0]), line(widths.map((width) => "-".repeat(width))), ...rows.slice(1).map(line)].join("\n");
};

const all = Object.values(products).flat();
const old = all.filter((path) => !isNewer.has(path));
const totals = [
  ["of", "served", "requests, answers and errors are checked against"],
  [`Plaid's OpenAPI document ${document}`, count(old), "the document"],
  ["newer than the document", count(newer), `the types of Plaid's Node SDK ${sdk}`],
  ["all", count(all), ""],
];
const judge = (path) => (isNewer.has(path) ? `SDK ${sdk}` : `document ${document}`);
const endpoints = [
  ["product", "endpoint", "served", "checked against"],
  ...Object.entries(products).flatMap(([product, paths]) =>
    paths.map((path, at) => [
      at === 0 ? `${product} (${count(paths)})` : "",
      code(path),
      served.has(path) ? "yes" : "no",
      served.has(path) ? judge(path) : "",
    ]),
  ),
];

const [BEGIN, END] = ["<!-- endpoints -->", "<!-- /endpoints -->"];
const page = readFileSync(file, "utf8");
const [before, after] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
if (before < BEGIN.length || after < before) throw new Error(`docs/simulator.md must have ${BEGIN} and ${END}`);
const written = `${page.slice(0, before)}\n\n${table(totals)}\n\n${table(endpoints)}\n\n${page.slice(after)}`;

if (process.argv.includes("--check")) {
  if (written !== page) {
    console.error("docs/simulator.md is stale: npm run docs");
    process.exit(1);
  }
} else writeFileSync(file, written);
