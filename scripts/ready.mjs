/**
 * Makes a checkout ready to run, with Node and npm alone: installs what the lock file names if that has not happened,
 * and builds if a source is newer than the build. Prints nothing when there is nothing to do.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Tartan needs Node 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function newest(folder) {
  const times = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => modified(join(entry.parentPath, entry.name)));
  return Math.max(0, ...times);
}

function run(what, command, args) {
  console.error(`· ${what}`);
  execFileSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
}

if (modified(join(root, "package-lock.json")) > modified(join(root, "node_modules/.package-lock.json"))) {
  run("installing packages (once, about half a minute)", "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}
const sources = Math.max(newest(join(root, "src")), modified(join(root, "tsconfig.build.json")));
if (sources > modified(join(root, "dist/.built"))) {
  run("building", process.execPath, [join(root, "scripts/build.mjs")]);
}
