/**
 * Writes the list of tables in docs/mirror.md from the resources; with --check it only says whether it is stale. The rest of that page
 * is written by hand.
 */
import { join } from "node:path";
import { code, readPage, root, table, withList, writePage } from "./page.mjs";

const { RESOURCES } = await import(join(root, "dist/resources/index.js"));

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

writePage("mirror.md", withList("mirror.md", readPage("mirror.md"), "tables", table([head, ...rows])));
