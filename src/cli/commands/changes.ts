/** `tartan changes …`: rows of the mirror that were added, modified or removed. */
import { Command } from "commander";
import { CHANGE_TABLES } from "../../relay/feed/change-tables.ts";
import { findChanges, type ChangeQuery } from "../../relay/feed/changes.ts";
import { pageText } from "../../relay/feed/page-text.ts";
import { listOf, PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { liveChanges } from "../output/live-changes.ts";
import { ago, cyan, dim, green, red, say, sayJsonList, sayTable, short, tell, yellow } from "../output/print.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { untilStopped } from "../wiring/signals.ts";

interface Flags {
  resource?: string[];
  integration?: string;
  item?: string;
  user?: string;
  cursor?: string;
  limit?: string;
  json?: true;
}

/** What the table shows of a change. */
interface Shown {
  change: string;
  resource: string | null;
  key: Record<string, string> | null;
  item_id: string | null;
  subject?: { kind: string; id: string };
  history: boolean;
  occurred_at: string;
}

export function changesCommand(): Command {
  const changes = new Command("changes").description("rows of the mirror that were added, modified or removed");
  filtered(changes.command("list"))
    .description("list changes in order, from the oldest that is kept or from a cursor")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page; `now` for the place after the newest change")
    .option("--json", "print JSON, with the rows")
    .action(withCore(list));
  filtered(changes.command("follow"))
    .description("print changes as they happen, from now on or from a cursor, until Ctrl-C")
    .option("--cursor <cursor>", "where to begin; `start` for the oldest change that is kept")
    .option("--json", "print one JSON object a line, with the row")
    .action(withCore(follow));
  changes
    .command("resources")
    .description("list the tables, their keys, and which have changes")
    .option("--json", "print JSON")
    .action(resources);
  return changes;
}

const filtered = (command: Command): Command =>
  command
    .option("--resource <tables>", "only rows of these tables, such as accounts,transactions", listOf)
    .option("--integration <id>", "only rows of this integration")
    .option("--item <id>", "only rows of this item")
    .option("--user <id>", "only rows of this user, by your identifier");

const queryOf = ({ resource, integration, item, user }: Flags): ChangeQuery => ({
  resources: resource,
  integration_id: integration,
  item_id: item,
  user_id: user,
});

async function list({ database }: Core, flags: Flags): Promise<void> {
  const query = { ...queryOf(flags), cursor: flags.cursor ?? "start", limit: Number(flags.limit) };
  const { changes, next_cursor, more } = await findChanges(database, query);
  // The rows' own text: parsing would round their numbers.
  if (flags.json) return say(pageText(changes, { next_cursor, more }));
  sayTable(
    changes.map((text) => JSON.parse(text) as Shown),
    {
      change: coloured,
      table: ({ resource }) => cyan(resource ?? "all tables"),
      key: keyOf,
      "belongs to": ({ item_id, subject }) => short(item_id ?? subject?.id),
      when: ({ occurred_at, history }) => ago(occurred_at) + (history ? dim(" history") : ""),
    },
    "No change matches.",
  );
  tell(dim(`continue with: --cursor ${next_cursor}`));
}

const COLOURS: Record<string, (text: string) => string> = { added: green, modified: yellow, removed: red, erased: red };

const coloured = ({ change }: Shown): string => (COLOURS[change] ?? String)(change);

/** The row's own id: what it belongs to has a column of its own. */
const keyOf = ({ key, item_id, subject }: Shown): string => {
  const parts = Object.values(key ?? {}).filter((part) => part !== (item_id ?? subject?.id));
  return parts.map((part) => short(part)).join(" ");
};

async function follow({ database }: Core, flags: Flags): Promise<void> {
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  let cursor = flags.cursor ?? "now";
  for await (const page of liveChanges(database, { ...queryOf(flags), cursor }, stop.signal)) {
    for (const text of page.changes) say(flags.json ? text : lineOf(JSON.parse(text) as Shown));
    cursor = page.next_cursor;
  }
  tell(dim(`continue with: --cursor ${cursor}`));
}

function lineOf(change: Shown): string {
  const time = dim(new Date(change.occurred_at).toTimeString().slice(0, 8));
  const verb = coloured(change) + " ".repeat(Math.max(0, "modified".length - change.change.length));
  const table = cyan((change.resource ?? "all tables").padEnd(20));
  return `${time}  ${verb}  ${table}  ${dim(short(change.item_id ?? change.subject?.id, 14).padEnd(14))}  ${keyOf(change)}`;
}

function resources({ json }: Flags): void {
  if (json) return sayJsonList(CHANGE_TABLES);
  sayTable(
    CHANGE_TABLES,
    {
      table: ({ resource, event }) => (event === null ? dim(resource) : cyan(resource)),
      key: ({ key }) => key.join(", "),
      changes: ({ not_fed }) => not_fed ?? "yes",
    },
    "There is no table.",
  );
}
