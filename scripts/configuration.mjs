/** Writes docs/configuration.md from the options of src/config.ts; with --check it only says whether it is stale. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "docs/configuration.md");
const { describeOptions } = await import(join(root, "dist/config.js"));

const rows = describeOptions().map(({ env, defaultText, about }) => `| \`${env}\` | ${defaultText} | ${about} |`);
const page = `# Configuration

Options come from the environment. Tartan reports all unusable values together before it starts anything;
\`tartan config\` checks them without starting. Tartan ignores an unknown \`TARTAN_…\` name with a warning that suggests the
option that was probably meant. It ignores the variables that Kubernetes adds for a Service named \`tartan\`, with a note.

With \`--env-file .env\` before the command's name, Tartan first reads options from a file of \`NAME=value\` lines; variables that
are already set override the file. Without it Tartan reads no file. Docker, compose and systemd read such a file themselves.

The variables of libpq (\`PGSSLMODE\`, \`PGPASSWORD\`, \`PGOPTIONS\` …) complete \`TARTAN_DATABASE_URL\`, as for other clients of
Postgres. They do not affect the embedded Postgres.

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
