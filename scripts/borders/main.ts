/**
 * `npm run check:borders`: holds the imports of src/, and the tables and functions that SQL uses, against borders.ts.
 *
 * `--update` rewrites known.json, the breaches that are older than the borders, without those that are gone and with the new
 * paths of files that moved. It never makes the list longer.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as table from "../../borders.ts";
import { countOf, judged, type Known, shortened } from "./known.ts";
import { findings } from "./rules.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const KNOWN = new URL("known.json", import.meta.url);

const fail = (text: string): void => {
  console.error(text);
  process.exitCode = 1;
};

const found = findings(ROOT, table);
let known = JSON.parse(readFileSync(KNOWN, "utf8")) as Known;

if (process.argv.includes("--update")) {
  const next = shortened(found, table, known);
  if (next) writeFileSync(KNOWN, `${JSON.stringify((known = next), null, 2)}\n`);
  else fail(`There are more breaches than the ${countOf(known)} that are known. The list only gets shorter.`);
}
const left = judged(found, table, known);
for (const { file, line, text } of left) console.error(`${line === 0 ? file : `${file}:${line}`} ${text}`);
if (left.length > 0) fail(`\nBorders crossed: ${left.length}. The rooms and their tables are in borders.ts.`);
