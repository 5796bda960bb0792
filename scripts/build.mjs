/** Compiles src/ into dist/ from nothing, so that a deleted source leaves no ghost behind. */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
// The files of the reference page, which no compiler touches.
cpSync(join(root, "src/api/docs"), join(dist, "api/docs"), {
  recursive: true,
  filter: (path) => !path.endsWith(".ts"),
});
// To make the OpenAPI document would block a server for half a second.
const { writeDocument } = await import(pathToFileURL(join(dist, "api/document.js")).href);
await writeDocument();
const main = join(dist, "cli/main.js");
launch(main);
chmodSync(main, 0o755);
writeFileSync(join(dist, ".built"), "");

/**
 * Makes the file a shell script that runs itself with Node, since an option of Node can be set on its command line only. For Node the shell's
 * line is a string and a comment. `env -S` could pass options too, but Alpine's env lacks it.
 *
 * Each webhook allocates some kilobytes, which live until its commit. With V8's young generation of 16 MiB many of them are copied: its
 * collections take 12 % of the receiver's processor time more than with 64 MiB. It grows only as it is needed.
 */
function launch(file) {
  const [first, ...lines] = readFileSync(file, "utf8").split("\n");
  if (!first?.startsWith("#!")) throw new Error(`${file} does not begin with #!`);
  const own = 'case "$NODE_OPTIONS" in *max-semi-space-size*|*max_semi_space_size*) exec node "$0" "$@";; esac';
  const shell = `":" //; ${own}; exec node --max-semi-space-size=64 "$0" "$@"`;
  writeFileSync(file, ["#!/bin/sh", shell, ...lines].join("\n"));
  const map = JSON.parse(readFileSync(`${file}.map`, "utf8"));
  writeFileSync(`${file}.map`, JSON.stringify({ ...map, mappings: `;${map.mappings}` }));
}
