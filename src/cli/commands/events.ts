/** `tartan events …`: all events, whether or not a route matched them. */
import { Command, Option } from "commander";
import { TartanError } from "../../errors.ts";
import { findInFeed, getEvent } from "../../relay/feed/event-feed.ts";
import { pageText } from "../../relay/feed/page-text.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { liveEvents, type LiveFilter } from "../output/live-events.ts";
import { ago, cyan, dim, say, sayTable, short, tell } from "../output/print.ts";
import { untilStopped } from "../wiring/signals.ts";

interface Flags {
  events?: string[];
  /** the former name of --events */
  types?: string[];
  integration?: string;
  item?: string;
  user?: string;
  history?: true;
  cursor?: string;
  limit: string;
  follow?: true;
  json?: true;
}

/** What the table shows of an event. */
interface Shown {
  id: string;
  type: string;
  occurred_at: string;
  item_id: string | null;
  user_id: string | null;
  history: boolean;
  data: Record<string, unknown>;
}

export function eventsCommand(): Command {
  const events = new Command("events").description("all events, whether or not they were sent");
  events
    .command("list")
    .description("list events in order, from the oldest that is kept or from a cursor")
    .option(
      "--events <types...>",
      "only these types, such as transactions.changed or item.* (default: all except Tartan's own)",
    )
    .addOption(new Option("--types <types...>").hideHelp())
    .option("--integration <id>", "only events of this integration")
    .option("--item <id>", "only events of this item")
    .option("--user <id>", "only events of this user, by your identifier")
    .option("--history", "also those of an item's first reading")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--follow", "print events as they happen, from now on or from the cursor")
    .option("--json", "print JSON")
    .action(withCore(list));
  events.command("show <id>").description("show one event as it is sent").action(withCore(show));
  return events;
}

function readFilter({ events, types = events, integration, item, user, history }: Flags): LiveFilter {
  return {
    ...(types && { types }),
    ...(integration && { integration_id: integration }),
    ...(item && { item_id: item }),
    ...(user && { user_id: user }),
    ...(history && { history }),
  };
}

async function list({ database }: Core, flags: Flags): Promise<void> {
  const filter = readFilter(flags);
  if (flags.follow) return follow(database, filter, flags);
  const page = await findInFeed(database, { ...filter, cursor: flags.cursor ?? "start", limit: Number(flags.limit) });
  // The events' own text: parsing would round their numbers.
  const texts = page.events.map(({ text }) => text);
  if (flags.json) return say(pageText(texts, page));
  sayTable(
    texts.map((text) => JSON.parse(text) as Shown),
    {
      id: ({ id }) => id,
      event: ({ type }) => cyan(type),
      item: ({ item_id }) => short(item_id),
      user: ({ user_id }) => short(user_id),
      about: aboutOf,
      when: ({ occurred_at }) => ago(occurred_at),
    },
    "No event matches.",
  );
  if (texts.length > 0) tell(dim(`continue with: --cursor ${page.next_cursor}`));
}

/** What distinguishes an event from others of its type. */
function aboutOf({ history, data }: Shown): string {
  const counts = (data["counts"] ?? {}) as Record<string, number>;
  const parts = [
    ...(data["webhook_code"] ? [`${String(data["webhook_type"])}/${String(data["webhook_code"])}`] : []),
    ...Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : [])),
    ...(Number(data["parts"] ?? 1) > 1 ? [`part ${String(data["part"])} of ${String(data["parts"])}`] : []),
    ...(history ? [dim("history")] : []),
  ];
  return parts.join(", ");
}

async function follow(database: Core["database"], filter: LiveFilter, { cursor, json }: Flags): Promise<void> {
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  for await (const text of liveEvents(database, { ...filter, from: cursor ?? "now", signal: stop.signal })) {
    if (json) {
      say(oneLine(text));
      continue;
    }
    const event = JSON.parse(text) as Shown;
    const time = dim(new Date(event.occurred_at).toTimeString().slice(0, 8));
    say(`${time}  ${cyan(event.type.padEnd(24))}  ${dim(short(event.item_id, 14).padEnd(14))}  ${aboutOf(event)}`);
  }
}

/** A line break in JSON can only stand between its parts. */
const oneLine = (text: string): string => text.replaceAll(/[\r\n]+/g, " ");

async function show({ database }: Core, id: string): Promise<void> {
  const event = await getEvent(database, id);
  if (!event) throw new TartanError("not_found", `There is no event ${id}; see \`npx tartan events list\`.`);
  say(event);
}
