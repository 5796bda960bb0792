/**
 * Writes the lists of tables and of sensitive fields in docs/mirror.md from the resources; with --check it only says whether it is stale. The rest of that page
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
    [subject.column ?? [], ...key].flat().map(code).join(", "),
    endpointsOf(fetch).map(code).join(", "),
    products.map(code).join(" or "),
  ]),
);
const MASKS = { last4: "shows the last four characters", hidden: "shows nothing", token: "never shown" };
const sensitiveHead = ["table", "field of Plaid's object", "masked, it", "revealed with"];
const sensitive = RESOURCES.flatMap(({ name: resource, tables }) =>
  tables.flatMap(({ name, sensitive = {} }) =>
    Object.entries(sensitive).map(([path, mask]) => [
      code(`plaid.${name}`),
      code(path),
      MASKS[mask],
      mask === "token" ? "" : code(resource),
    ]),
  ),
);

function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((text, column) => text.padEnd(widths[column])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** The page with the table in place of the one between its marks. */
function withTable(page, mark, written) {
  const [begin, end] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`];
  const [before, after] = [page.indexOf(begin) + begin.length, page.indexOf(end)];
  if (before < begin.length || after < before) throw new Error(`docs/mirror.md must have ${begin} and ${end}`);
  return `${page.slice(0, before)}\n\n${written}\n\n${page.slice(after)}`;
}

const page = readFileSync(file, "utf8");
const written = withTable(withTable(page, "tables", table(head, rows)), "sensitive", table(sensitiveHead, sensitive));

if (process.argv.includes("--check")) {
  if (written !== page) {
    console.error("docs/mirror.md is stale: npm run docs");
    process.exit(1);
  }
} else writeFileSync(file, written);
