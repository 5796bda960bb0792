/** Writes the lists and the picture of docs/items.md from src/sync/life.ts; with --check it only says whether they are stale. */
import { join } from "node:path";
import { picture } from "./items-picture.mjs";
import { code, readPage, root, table, withList, writePage } from "./page.mjs";

const life = await import(join(root, "dist/sync/life.js"));
const { CLEARED_BY } = await import(join(root, "dist/sync/next-notices.js"));
const { ITEM_STATUSES, NOTICE_KINDS, NOTICE_ENDS } = await import(join(root, "dist/model/statuses.js"));
const { CATALOGUE } = await import(join(root, "dist/plaid/catalogue.js"));
const { STATES, NOTICES, ENDS } = life;

const states = table([
  ["status", "it means", "the rows in the mirror", "Tartan", "you"],
  ...ITEM_STATUSES.map((status) => {
    const { meaning, data, onward, next_step } = STATES[status];
    return [code(status), meaning, data, onward, next_step ?? "nothing"];
  }),
]);

const ways = table([
  ["to", "when"],
  ...ITEM_STATUSES.map((status) => [
    code(status),
    [...new Set(life.MOVES.filter(({ to }) => to === status).map(({ when }) => when))].join("; "),
  ]),
]);

const webhookOf = (kind) =>
  CATALOGUE.filter(({ effect }) => effect === kind)
    .map(({ type, code: name }) => code(`${type}/${name}`))
    .join(", ");
const repairsOf = (kind) => Object.keys(CLEARED_BY).filter((by) => CLEARED_BY[by].includes(kind));

const notices = table([
  ["notice", "it says", "it comes with", "it goes with", "or when", "you"],
  ...NOTICE_KINDS.map((kind) => {
    const { meaning, alsoFrom, goes, next_step } = NOTICES[kind];
    const from = [webhookOf(kind), ...(alsoFrom === null ? [] : [`or where ${alsoFrom}`])].join(", ");
    return [code(kind), meaning, from, repairsOf(kind).map(code).join(", "), goes, next_step];
  }),
]);

const ends = table([["by", "it means"], ...NOTICE_ENDS.map((end) => [code(end), ENDS[end]])]);

const page = Object.entries({ states, ways, notices, ends }).reduce(
  (text, [name, list]) => withList("items.md", text, name, list),
  readPage("items.md"),
);

writePage("items.md", page);
writePage("items.svg", picture(life));
