/**
 * Writes docs/tables.md, every table of the mirror column by column, from the resources; with --check it only says whether the page is stale.
 */
import { join } from "node:path";
import { code, root, table as aligned, writePage } from "./page.mjs";

const { changeType, endpointsOf, RESOURCES } = await import(join(root, "dist/resources/index.js"));
const { unfedBecause } = await import(join(root, "dist/relay/feed/change-tables.js"));
const { meaningOf } = await import(join(root, "dist/resources/meanings/index.js"));
const { maskWords } = await import(join(root, "dist/resources/meanings/masks.js"));

const list = (names) => names.map(code).join(", ");

const KINDS = {
  snapshot: "in one request; what the answer lacks is removed",
  list: "in pages, always all of them; what none of them has is removed",
  cursor: "in pages, from where the last sync ended; Plaid names what it removed",
  ledger: "in pages, from where the last sync ended; nothing is ever removed",
  window: "in pages; of the days that it spans, what no page has is removed, and older rows stay",
};

const kindOf = ({ kind }) => (kind === "item" ? "items" : `the subject ${code(kind)}`);

/** What rows of other tables have the subject read. */
const referencesTo = (kind) =>
  RESOURCES.flatMap(({ tables }) =>
    tables.flatMap(({ name, references = [] }) =>
      references
        .filter(({ subject }) => subject.kind === kind)
        .map(({ staleHours }) =>
          staleHours === "changed"
            ? `a row of ${code(name)} that names it was added or changed`
            : `a row of ${code(name)} names it and the copy is older than ${staleHours} hours`,
        ),
    ),
  );

function readAfter({ touchedBy, subject, billed }) {
  if (billed === "each") return "nothing: only when you ask for it by name";
  const of = ({ type, codes, except }) =>
    codes
      ? list(codes.map((each) => `${type}/${each}`))
      : `${code(`${type}/*`)}${except ? ` but ${list(except)}` : ""}`;
  return [...touchedBy.map(of), ...referencesTo(subject.kind)].join(", ");
}

function freshnessOf({ updatedWith, subject, billed }) {
  if (billed === "each") return "as of the request";
  if (subject.kind !== "item") return "as of the last webhook about it, or the last sync that you asked for";
  if (updatedWith === undefined) return "as of the last webhook, or the last check of the item";
  if (updatedWith === "unknown") return "as of the last webhook, or the last check of the item, which reads it again";
  return `as of the last webhook, or the last check of the item, if Plaid has updated ${list(updatedWith)} since`;
}

const BILLED = {
  each: "Plaid bills each request: Tartan asks only where the integration enables it, and only when you name it",
  once: "Plaid bills it: Tartan asks only where the integration enables it",
};

const OF_PRODUCTS =
  "that of the product; where an item lacks it, Tartan asks only if you name the resource, and Plaid may then add the product and bill it";

function factsOf(resource) {
  const { subject, fetch, products, billed, needs } = resource;
  const cost = billed ? BILLED[billed] : products ? OF_PRODUCTS : null;
  return [
    ["of", kindOf(subject)],
    ["read from", list(endpointsOf(fetch))],
    ["how", KINDS[fetch.kind]],
    ...(products ? [["only with the product", products.map(code).join(" or ")]] : []),
    ["read after", readAfter(resource)],
    ["how fresh", freshnessOf(resource)],
    ...(needs ? [["needs", `${code(needs)} of the integration`]] : []),
    ...(cost ? [["cost", cost]] : []),
  ];
}

function columnsOf({ resource: { subject }, table }) {
  const keys = ["integration_id", ...(subject.column ? [subject.column] : []), ...table.key].map((name) => ({
    name,
    type: "text",
    path: [name],
    key: true,
  }));
  const own = table.columns.map((column) => ({ ...column, masked: maskWords(table, column) }));
  const given = (table.given ?? []).map((name) => ({ name, type: "text", path: [] }));
  return [...keys, ...own, ...given].map(({ name, type, path, key, masked = "" }) => [
    code(name),
    key ? `${type}, key` : type,
    path.length > 1 ? code(path.join(".")) : "",
    meaningOf(table.name, name) ?? "",
    masked,
  ]);
}

function tableOf(head, rows) {
  const cells = [head, ...rows].map((row) => row.map((text) => text.replaceAll("|", "\\|")));
  const used = head.map((_, n) => n < 2 || cells.slice(1).some((row) => row[n] !== ""));
  const kept = cells.map((row) => row.filter((_, n) => used[n]));
  return aligned(kept);
}

const sections = RESOURCES.map((resource) => {
  const tables = resource.tables.map((table) => {
    const event = table.event
      ? ` Event of changed rows: ${code(changeType(table))}.`
      : ` No [changes](changes.md): ${unfedBecause(table.name)}.`;
    return [
      `### ${code(`plaid.${table.name}`)}\n`,
      `One row is ${table.row}.${event}\n`,
      tableOf(["column", "type", "at Plaid", "means", "masked"], columnsOf({ resource, table })),
    ].join("\n");
  });
  const facts = factsOf(resource).map(([name, text]) => `- **${name}**: ${text}`);
  return [`## ${resource.name}\n`, `${facts.join("\n")}\n`, tables.join("\n\n")].join("\n");
});

/* The drawing: which columns join which tables. */

const ROOTS = new Map(
  RESOURCES.flatMap(({ tables, subject }) =>
    tables.filter(({ key }) => key.length === 0).map(({ name }) => [subject.column, name]),
  ),
);
/** Tables of one item that others join by a column besides the item. */
const JOINED = { account_id: "accounts", security_id: "securities" };
/** Investment transactions come with securities of their own. */
const SECURITIES = { investment_transactions: "traded_securities", traded_securities: null, securities: null };
/** Columns named as a subject's id that hold other ids, but in these tables. */
const OTHER_IDS = { transaction_id: ["wallet_transactions", "payments"] };

function targetOf({ subject }, table, column) {
  if (column === "security_id" && table in SECURITIES) return SECURITIES[table];
  if (OTHER_IDS[column] && !OTHER_IDS[column].includes(table)) return null;
  if (JOINED[column]) return subject.kind === "item" ? JOINED[column] : null;
  return ROOTS.get(column);
}

function relationsOf(resource, { name, key, columns }) {
  const { subject } = resource;
  const isRoot = key.length === 0;
  const root = ROOTS.get(subject.column);
  const relations = isRoot || root === undefined ? [] : [[root, name, subject.column]];
  for (const column of [...key, ...columns.map((each) => each.name)]) {
    const target = targetOf(resource, name, column);
    if (target && target !== name && !relations.some(([from]) => from === target))
      relations.push([target, name, column]);
  }
  return relations;
}

function drawingOf(resources) {
  const lines = resources.flatMap((resource) =>
    resource.tables.flatMap((table) =>
      relationsOf(resource, table).map(([from, to, column]) => `  ${from} ||--o{ ${to} : ${column}`),
    ),
  );
  return lines.length === 0 ? "" : ["```mermaid", "erDiagram", ...lines, "```"].join("\n");
}
const ofItems = RESOURCES.filter(({ subject }) => subject.kind === "item");
const others = RESOURCES.filter(({ subject }) => subject.kind !== "item");
const drawing = [drawingOf(ofItems), drawingOf(others)].filter(Boolean).join("\n\nWhat belongs to no item:\n\n");

const total = RESOURCES.reduce((sum, { tables }) => sum + tables.length, 0);
const page = `# Tables of the mirror, column by column

<!-- Written by \`npm run docs\` from src/resources. -->

${total} tables in schema \`plaid\`. [The mirror](mirror.md) says what you can rely on, and [questions in SQL](queries.md) shows how they are used. The columns
marked *key* are the primary key; *masked* says what a [sensitive field](sensitive.md) shows unless it is revealed. Each table also has \`raw\`, ${meaningOf("", "raw")}; \`added_at\`, \`changed_at\` and \`removed_at\`; a table with one row for
each subject has \`verified_at\`. psql shows the meanings too: \`\\d+ plaid.accounts\`.

${list(RESOURCES.flatMap(({ tables }) => tables.map(({ name }) => name)))}

## How they join

Every join has \`integration_id\` besides the column that is written at the line; tables of an item also \`item_id\`.

${drawing}

${sections.join("\n\n")}
`;

writePage("tables.md", page);
