/**
 * Takes a release of Scalar's API reference from npm into src/api/docs/scalar: `node scripts/scalar.mjs 1.72.1`. What is
 * taken is the one file that runs in the browser, unchanged and compressed, its hash, and the licences of what is bundled
 * in it. As a dependency the package would install 272 packages and 287 MB for that file.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, gzipSync } from "node:zlib";

const NAME = "@scalar/api-reference";
const version = process.argv[2];
if (!/^\d+\.\d+\.\d+$/.test(version ?? "")) {
  console.error("Usage: node scripts/scalar.mjs <version>, such as 1.72.1");
  process.exit(2);
}
const target = join(import.meta.dirname, "../src/api/docs/scalar");
const folder = mkdtempSync(join(tmpdir(), "scalar-"));
const npm = (...args) => execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", 2] });

try {
  const [packed] = JSON.parse(npm("pack", `${NAME}@${version}`, "--json"));
  execFileSync("tar", ["-xzf", packed.filename], { cwd: folder });
  const script = readFileSync(join(folder, "package/dist/browser/standalone.js"));
  const { license } = JSON.parse(readFileSync(join(folder, "package/package.json"), "utf8"));
  const release = {
    package: NAME,
    version,
    license,
    tarball: packed.integrity,
    script: `sha384-${createHash("sha384").update(script).digest("base64")}`,
  };
  writeFileSync(join(target, "standalone.js.gz"), gzipSync(script, { level: constants.Z_BEST_COMPRESSION }));
  writeFileSync(join(target, "release.json"), `${JSON.stringify(release, null, 2)}\n`);
  writeFileSync(join(target, "bundled-licenses.txt"), licensesOf(bundledIn(join(folder, "package/dist/browser"))));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Name and version of each package in the bundle, from its source map: `…/.pnpm/vue@3.5.40/node_modules/vue/dist/…`. */
function bundledIn(browser) {
  const { sources } = JSON.parse(readFileSync(join(browser, "standalone.js.map"), "utf8"));
  const found = new Map();
  for (const source of sources) {
    const [, version, name] =
      /\.pnpm\/@?[^@/]+@([^_(/]+)[^/]*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? [];
    if (name !== undefined && !found.has(name)) found.set(name, version);
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function licensesOf(packages) {
  writeFileSync(join(folder, "package.json"), '{"private":true}');
  const wanted = packages.map(([name, version]) => `${name}@${version}`);
  npm("install", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error", ...wanted);
  const parts = packages.map(([name, version]) => {
    const home = join(folder, "node_modules", name);
    const { license } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    const file = readdirSync(home).find((entry) => /^(licen[sc]e|copying)/i.test(entry));
    const text = file ? readFileSync(join(home, file), "utf8").trim() : "(The package has no licence file.)";
    return `${name} ${version}: ${license}\n\n${text}\n`;
  });
  return `Packages of others that are part of ${NAME} ${version}.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
