/** `npm run check:borders`: holds the imports of src/, and the tables and functions that SQL uses, against borders.ts. */
import { fileURLToPath } from "node:url";
import * as table from "../../borders.ts";
import { judged } from "./exceptions.ts";
import { findings } from "./rules.ts";

const left = judged(findings(fileURLToPath(new URL("../../", import.meta.url)), table), table);
for (const { file, line, text } of left) console.error(`${line === 0 ? file : `${file}:${line}`} ${text}`);
if (left.length > 0) {
  console.error(`\nBorders crossed: ${left.length}. The folders and their tables are in borders.ts.`);
  process.exitCode = 1;
}
