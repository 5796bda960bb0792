/** Writes docs/webhooks.md from the catalogue of webhooks and the resources; with --check it only says whether it is stale. */
import { join } from "node:path";
import { code, root, writePage } from "./page.mjs";

const { CATALOGUE } = await import(join(root, "dist/plaid/catalogue.js"));
const { RESOURCES } = await import(join(root, "dist/resources/index.js"));
const { listKnownWebhooks } = await import(join(root, "dist/sync/webhook-meaning.js"));

const KINDS = new Map(RESOURCES.map(({ name, subject: { kind } }) => [name, kind]));
const listed = listKnownWebhooks();

const subject = (rule) =>
  rule.field === undefined
    ? `${code(rule.kind)}, of which each integration has one`
    : `${code(rule.kind)}, by ${code(rule.field)}`;
const aboutOf = ({ type, code: name }) =>
  CATALOGUE.find((known) => known.type === type && known.code === name)
    .about.map(subject)
    .join("; or ");

/** The resources, of each kind of subject if there are several. */
function readOf(resources) {
  const kinds = [...new Set(resources.map((name) => KINDS.get(name)))];
  const parts = kinds.map((kind) =>
    resources
      .filter((name) => KINDS.get(name) === kind)
      .map(code)
      .join(", "),
  );
  return kinds.length < 2
    ? `Reads ${parts.join("")}.`
    : `Reads ${kinds.map((kind, n) => `of ${code(kind)}: ${parts[n]}`).join("; ")}.`;
}

/** What Tartan does: what it reads, and where it shows what it learnt of the item. */
const doneOn = ({ resources, unread, effect }) =>
  [resources.length > 0 ? readOf(resources) : (unread ?? "Reads nothing."), ...(effect === null ? [] : [effect])].join(
    " ",
  );

function section(type) {
  const webhooks = listed.filter((each) => each.type === type);
  const abouts = [...new Set(webhooks.map(aboutOf))];
  const shared =
    abouts.length === 1 ? [abouts[0] === "" ? "About nothing that Tartan mirrors." : `About: ${abouts[0]}.`] : [];
  const head = ["code", ...(shared.length > 0 ? [] : ["about"]), "what it says", "what Tartan does"];
  const rows = webhooks.map((each) => [
    [
      code(each.code),
      ...each.also_sent_as.map((other) => `, once sent as ${code(other)}`),
      each.deprecated ? " (deprecated)" : "",
    ].join(""),
    ...(shared.length > 0 ? [] : [aboutOf(each)]),
    `${each.meaning}${each.sender === "PLAID" ? "" : ` Sent by ${each.sender === "BACKEND" ? "your backend" : "Tartan itself"}.`}`,
    doneOn(each),
  ]);
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    `## ${type}`,
    "",
    ...shared.flatMap((text) => [text, ""]),
    line(head),
    line(head.map(() => "---")),
    ...rows.map(line),
    "",
  ];
}

const page = `# Webhooks

Tartan accepts and keeps every webhook that is proven to be Plaid's or your backend's. This page lists those that it knows: what each
says, what it is about, and what Tartan does. \`tartan webhooks types\` and \`GET /v1/webhook-types\` list the same;
\`tartan webhooks show\` and \`GET /v1/webhooks/:id\` say it of a stored webhook.

A webhook only says that something changed: Tartan asks Plaid and writes what Plaid's API answers. _Reads_ names the
[resources](mirror.md) of the webhook's subject. Tartan reads a resource only where the subject has its product, and one that Plaid bills
by request only where the integration enables it.

A webhook that is not listed here is about what all webhooks of its type are about, and otherwise about the item that it names. If no
resource is read after it, its [outcome](api.md#the-outcome-of-a-webhook) is \`unknown_webhook\`. It is stored, shown and
delivered like any other.

${[...new Set(listed.map(({ type }) => type))].flatMap(section).join("\n").trimEnd()}
`;

writePage("webhooks.md", page);
