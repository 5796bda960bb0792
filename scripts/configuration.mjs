/** Writes docs/configuration.md from the options of src/config.ts; with --check it only says whether it is stale. */
import { join } from "node:path";
import { root, writePage } from "./page.mjs";

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

writePage("configuration.md", page);
