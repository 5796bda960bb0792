import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readTree } from "../../../scripts/borders/tree.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const ENGINES = ["src/journal/intake.ts", "src/journal/records.ts"];

test("only the wiring opens engines of the intake and the records, so that another engine is wired in one file", () => {
  const users = readTree(ROOT).sources.flatMap(({ path, imports }) =>
    imports.some((each) => each.path !== null && ENGINES.includes(relative(ROOT, each.path))) ? [path] : [],
  );
  expect(users).toEqual(["src/cli/wiring/engines.ts"]);
});
