/**
 * Writes the lists in docs/simulator.md: the products and records with the fields of their changes, and Plaid's endpoints by product, with
 * which of them the simulator serves; with --check it only says whether they are stale. plaid-endpoints.json beside this file has all
 * endpoints; a test compares it with Plaid's document and SDK.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { code, readPage, root, table, withList, writePage } from "./page.mjs";

const { document, sdk, newer, products } = JSON.parse(readFileSync(join(root, "scripts/plaid-endpoints.json"), "utf8"));
const { ALL_BOOKS } = await import(join(root, "dist/simulator/products/index.js"));
const { ALL_RECORDS } = await import(join(root, "dist/simulator/records/index.js"));
const { changeInput } = await import(join(root, "dist/simulator/control/inputs.js"));
const { PLAID_PATHS } = await import(join(root, "dist/simulator/plaid-api.js"));

const served = new Set(PLAID_PATHS);
const isNewer = new Set(newer);
const count = (paths) => `${paths.filter((path) => served.has(path)).length} of ${paths.length}`;

const all = Object.values(products).flat();
const old = all.filter((path) => !isNewer.has(path));
const totals = [
  ["of", "served", "requests, answers and errors are checked against"],
  [`Plaid's OpenAPI document ${document}`, count(old), "the document"],
  ["newer than the document", count(newer), `the types of Plaid's Node SDK ${sdk}`],
  ["all", count(all), ""],
];
const heldAgainst = (path) => (isNewer.has(path) ? `SDK ${sdk}` : `document ${document}`);
const endpoints = [
  ["product", "endpoint", "served", "checked against"],
  ...Object.entries(products).flatMap(([product, paths]) =>
    paths.map((path, at) => [
      at === 0 ? `${product} (${count(paths)})` : "",
      code(path),
      served.has(path) ? "yes" : "no",
      served.has(path) ? heldAgainst(path) : "",
    ]),
  ),
];

const fieldsOf = (shape) => Object.keys(shape).map(code).join(", ") || "none";
const books = [
  ["data", "of items with", "fields of a change"],
  ["transactions", code("transactions"), fieldsOf(changeInput.shape)],
  ...ALL_BOOKS.map(({ name, product, input }) => [name, code(product), fieldsOf(input.shape)]),
];
const records = [
  ["kind", "fields of a new one", "fields of a change"],
  ...ALL_RECORDS.map(({ kind, only, making, changing }) => [
    code(kind),
    only === undefined ? fieldsOf(making) : `each client has one, with the id ${code(only)}`,
    fieldsOf(changing),
  ]),
];

const lists = { products: [books], records: [records], endpoints: [totals, endpoints] };
const page = Object.entries(lists).reduce(
  (text, [name, tables]) => withList("simulator.md", text, name, tables.map(table).join("\n\n")),
  readPage("simulator.md"),
);
writePage("simulator.md", page);
