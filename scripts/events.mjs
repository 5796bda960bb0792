/**
 * Writes docs/events.md and the JSON Schema of each event in docs/events/ from the shapes in src/api/nouns/events; with --check it only
 * says whether they are stale.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPage, root } from "./page.mjs";

const docs = join(root, "docs");
const { EVENT_TYPES, isOperatorEvent } = await import(join(root, "dist/events/event-types.js"));
const { SHAPED_TYPES } = await import(join(root, "dist/api/nouns/events/shapes.js"));
const { eventSchema, schemaFile } = await import(join(root, "dist/api/docs/event-schemas.js"));

const table = (types) =>
  types.map((type) => `| [\`${type}\`](events/${schemaFile(type)}) | ${EVENT_TYPES[type]} |`).join("\n");

const page = `# Events

Tartan sends your systems events. Each is one JSON object:

| field | what it is |
|---|---|
| \`id\` | \`evt_…\`, the same in every attempt, retry and replay; store it to drop repetitions |
| \`type\`, \`version\` | see below; a version may gain fields, so ignore those you do not know |
| \`occurred_at\` | when Tartan recorded it |
| \`integration_id\`, \`environment\`, \`item_id\`, \`user_id\` | what the event is about; \`user_id\` is your own identifier of the user |
| \`subject\` | \`kind\` and \`id\` of what the event is about, where that is no item, such as a payment |
| \`history\` | true for what existed before: what the first reading of an item, a processor's account or the transfer ledger found |
| \`data\` | depends on the type; its name below links to its JSON Schema |

Rows are as Plaid wrote them, with [sensitive fields](sensitive.md) masked. Parse their numbers as decimals where the last digit matters.

| about your Items and other subjects | when |
|---|---|
${table(SHAPED_TYPES.filter((type) => !isOperatorEvent(type)))}

These are about deliveries and destinations. To receive them, a route or a client that fetches events must name them or their
family (\`delivery.*\`).

| about Tartan | when |
|---|---|
${table(SHAPED_TYPES.filter(isOperatorEvent))}
`;

const files = new Map([
  ["events.md", page],
  ...SHAPED_TYPES.map((type) => [`events/${schemaFile(type)}`, `${JSON.stringify(eventSchema(type), null, 2)}\n`]),
]);
const folder = join(docs, "events");
const foreign = (existsSync(folder) ? readdirSync(folder) : []).filter((name) => !files.has(`events/${name}`));

if (process.argv.includes("--check")) {
  const stale = [...files].filter(([name, content]) => readPage(name) !== content).map(([name]) => name);
  const faults = [...stale, ...foreign.map((name) => `events/${name}`)];
  if (faults.length > 0) {
    console.error(`stale in docs/: ${faults.join(", ")}; npm run docs`);
    process.exit(1);
  }
} else {
  mkdirSync(folder, { recursive: true });
  for (const name of foreign) rmSync(join(folder, name));
  for (const [name, content] of files) writeFileSync(join(docs, name), content);
}
