import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readTree } from "../../scripts/borders/tree.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

test("the receiver reaches ports and pure functions only, no engine and no SQL, through any number of imports", () => {
  const files = new Map(readTree(ROOT).sources.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const follow = (path: string): void => {
    const file = files.get(path);
    if (file === undefined || reached.has(path)) return;
    reached.add(path);
    for (const { path: target } of file.imports) if (target !== null) follow(relative(ROOT, target));
  };
  for (const path of files.keys()) if (path.startsWith("src/receiver/")) follow(path);
  const folders = new Set([...reached].map((path) => path.split("/").slice(0, -1).join("/")));
  expect([...folders].toSorted()).toEqual(["src", "src/model", "src/plaid", "src/plaid/catalogue", "src/receiver"]);
  const tables = [...reached].flatMap((path) => files.get(path)?.mentions.filter(({ certain }) => certain) ?? []);
  expect(tables.map(({ does, name }) => `${does} ${name}`)).toEqual([]);
});
