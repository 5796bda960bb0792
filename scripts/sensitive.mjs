/** Writes docs/sensitive.md, every field that the mirror masks, from the resources; with --check it only says whether the page is stale. */
import { join } from "node:path";
import { code, root, writePage } from "./page.mjs";

const { RESOURCES } = await import(join(root, "dist/resources/index.js"));
const { MASK_WORDS } = await import(join(root, "dist/resources/meanings/masks.js"));

const line = (cells) => `| ${cells.join(" | ")} |`;
const table = (head, rows) => [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");

/** The columns whose value is, or holds, or is inside a field. */
function columnsWith({ columns }, field) {
  const isInside = (path, around) => `${path}.`.startsWith(`${around}.`);
  return columns.filter(({ path, type }) => {
    const here = path.join(".");
    return type !== "boolean" && (isInside(here, field) || isInside(field, here));
  });
}

const rowsOf = ({ name: resource, tables }) =>
  tables.flatMap((each) =>
    Object.entries(each.sensitive ?? {}).map(([path, mask]) => [
      mask === "token" ? "" : code(resource),
      code(each.name),
      code(path),
      columnsWith(each, path.replaceAll("[]", ""))
        .map(({ name }) => code(name))
        .join(", "),
      MASK_WORDS[mask],
    ]),
  );
const PROCESSOR = "processor_account";
const fields = RESOURCES.filter(({ subject }) => subject.kind !== PROCESSOR).flatMap(rowsOf);

const page = `# Sensitive fields

<!-- Written by \`npm run docs\` from src/resources. -->

Tartan masks numbers of accounts, names and addresses of people, and the like before it stores a row. The typed column, \`raw\`, and the events
about the row all hold the masked value, which Tartan calls by what it shows:

${table(
  ["masked as", "looks like"],
  [
    [
      MASK_WORDS.last4,
      "`••••1234`; `••••34` where the value has five to seven characters, `•••` where it has four or fewer",
    ],
    [MASK_WORDS.hidden, "`•••`"],
    [MASK_WORDS.token, "`[cut]`: a token of Plaid's, which no integration can reveal"],
  ],
)}

Null stays null. A column whose type can hold no such text, such as a date, is null while its field is masked. A change at Plaid that leaves the
masked value as it is (another account number with the same last digits) shows nowhere: neither in \`changed_at\` nor in an event.

## Reveal a resource

An integration reveals resources by name; [the audit log](operations.md#the-audit-log) says who did it:

\`\`\`sh
npx tartan integrations update svi_… --reveal liabilities,auth
npx tartan integrations update svi_… --reveal none
\`\`\`

The list replaces the one before, as \`revealed_resources\` of the API does. When you reveal a resource, Tartan reads it again for all
subjects that have it, which Plaid bills as any other reading of it; rows that Plaid no longer answers, such as removed ones, stay masked.

When you hide it, every row that is written from then on is masked, and Tartan masks all stored rows in place, also those of items in error;
\`changed_at\` of these rows moves. A commit that is just writing revealed rows is waited for, which can take minutes for a long history;
nothing else of the integration waits. The command ends when all rows are masked. The API answers after ten seconds at the latest, and
\`masking_resources\` of the integration (\`being masked\` in \`tartan integrations show\`) names what is not finished; it is empty once no
stored row shows what is hidden. Deleting an integration hides all that it revealed.

Copies elsewhere stay as they are: events that were recorded before, what your systems received, and your backups. Tartan keeps pages of an
unfinished reading unmasked for up to an hour, in a table that no reader sees.

## Every sensitive field

A field without a column is in \`raw\` only. The tables \`processor_…\` mask the same fields as the tables that they are named after; their
resources are revealed by their own names, such as \`processor_auth\`.

${table(["revealed with", "table", "field of Plaid's object", "column", "masked as"], fields)}
`;

writePage("sensitive.md", page);
