/** Compiles src/ into dist/ from nothing, so that a deleted source leaves no ghost behind. */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

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
chmodSync(join(dist, "cli/main.js"), 0o755);
writeFileSync(join(dist, ".built"), "");
