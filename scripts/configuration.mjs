/** Writes docs/configuration.md from the options of src/config.ts; with --check it only says whether it is stale. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "docs/configuration.md");
const { describeOptions } = await import(join(root, "dist/config.js"));

const rows = describeOptions().map(({ env, defaultText, about }) => `| \`${env}\` | ${defaultText} | ${about} |`);
const page = `# Configuration

Options come from the environment. Values that are not usable are reported before anything starts, all of them together;
\`tartan config\` checks without starting. A \`TARTAN_…\` name that is no option is ignored with a warning that names the
option it may have been meant for. What Kubernetes adds for a Service named \`tartan\` is ignored with a note.

With \`--env-file .env\` before its name, a command reads options from a file of \`NAME=value\` lines first; variables that are
set already win over the file. Without it no file is read. Docker, compose and systemd read such a file themselves.

The variables of libpq (\`PGSSLMODE\`, \`PGPASSWORD\`, \`PGOPTIONS\` …) complete \`TARTAN_DATABASE_URL\`, as they do for other
clients of Postgres. The embedded Postgres does not see them.

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
