/** Writes docs/configuration.md from the options of src/config.ts; with --check it only says whether it is stale. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "docs/configuration.md");
const { describeOptions } = await import(join(root, "dist/config.js"));

const rows = describeOptions().map(({ env, defaultText, about }) => `| \`${env}\` | ${defaultText} | ${about} |`);
const page = `# Configuration

Options come from the environment. A value that is not usable, or a \`TARTAN_…\` name that is no option, is reported before
anything starts, all faults together; \`tartan config\` checks without starting.

| option | default | what it is |
|---|---|---|
${rows.join("\n")}
`;

if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== page) {
    console.error("docs/configuration.md is stale: npm run docs");
    process.exit(1);
  }
} else writeFileSync(file, page);
