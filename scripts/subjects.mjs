/**
 * Writes the list of kinds in docs/subjects.md from the resources and the catalogue of webhooks; with --check it only says whether it is
 * stale. The rest of that page is written by hand.
 */
import { join } from "node:path";
import { code, readPage, root, table, withList, writePage } from "./page.mjs";

const { OTHER_KINDS, RESOURCES, resourcesOf, subjectKind } = await import(join(root, "dist/resources/index.js"));
const { CATALOGUE } = await import(join(root, "dist/plaid/catalogue.js"));

const unique = (texts) => [...new Set(texts)];

const TOKENS = {
  id: ({ orToken }) => (orToken ? `${code(orToken)}, of older users` : ""),
  token: ({ as, inWebhook }) => `${code(as)}${inWebhook ? ", which its webhooks have" : ""}`,
  nothing: () => "",
};

/** The webhooks about a kind: a whole type, all of it but one code, or some codes. */
function webhooksAbout(kind) {
  const isAbout = ({ about }) => about.some((rule) => rule.kind === kind);
  return unique(CATALOGUE.filter(isAbout).map(({ type }) => type)).map((type) => {
    const all = CATALOGUE.filter((each) => each.type === type);
    const others = all.filter((each) => !isAbout(each)).map((each) => code(each.code));
    if (others.length === 0) return code(`${type}/*`);
    if (others.length === 1 && all.length > 2) return `${code(`${type}/*`)} but ${others[0]}`;
    return all
      .filter(isAbout)
      .map((each) => code(`${type}/${each.code}`))
      .join(", ");
  });
}

const rowsNaming = (kind) =>
  RESOURCES.flatMap(({ tables }) => tables)
    .filter(({ references = [] }) => references.some(({ subject }) => subject.kind === kind))
    .map(({ name }) => code(`plaid.${name}`));

function madeKnownBy(kind) {
  const [webhooks, rows] = [webhooksAbout(kind), rowsNaming(kind)];
  const ways = [
    ...(webhooks.length > 0 ? [`webhooks ${webhooks.join(", ")}`] : []),
    ...(rows.length > 0 ? [`rows of ${unique(rows).join(", ")}`] : []),
  ];
  return ways.join("; ") || "you";
}

const head = ["kind", "its id at Plaid", "token", "made known by", "tables in schema `plaid`"];
const rows = OTHER_KINDS.map((kind) => {
  const { access, column } = subjectKind(kind);
  return [
    code(kind),
    column === null ? "always `all`" : code(access.by === "id" ? access.as : column),
    TOKENS[access.by](access),
    madeKnownBy(kind),
    resourcesOf(kind)
      .flatMap(({ tables }) => tables.map(({ name }) => code(name)))
      .join(", "),
  ];
});

writePage("subjects.md", withList("subjects.md", readPage("subjects.md"), "kinds", table([head, ...rows])));
