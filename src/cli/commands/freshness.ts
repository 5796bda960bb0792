/** `tartan freshness`: how fresh the mirror is. */
import { Command } from "commander";
import { listFreshness, type IntegrationFreshness, type ResourceFreshness } from "../../silence/freshness.ts";
import { PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { ago, bold, dim, green, plural, say, sayJson, sayTable, tell, yellow } from "../output/print.ts";
import { withCore, type Core } from "../wiring/core.ts";

interface Flags {
  integration?: string;
  limit: string;
  cursor?: string;
  json?: true;
}

export function freshnessCommand(): Command {
  return new Command("freshness")
    .description(
      "show how fresh the mirror is: by integration and resource, how many items were read within the window",
    )
    .option("--integration <id>", "one integration")
    .option("--limit <count>", `integrations: ${PAGE_SIZE_HELP}`, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(show));
}

async function show({ database }: Core, { integration, limit, cursor, json }: Flags): Promise<void> {
  const page = await listFreshness(database, { integration_id: integration, limit: Number(limit), cursor });
  if (json) return sayJson(page);
  if (page.data.length === 0) return say(dim("There is no integration. `npx tartan integrations create` makes one."));
  for (const each of page.data) showOne(each);
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

function showOne({
  integration_id,
  name,
  as_of,
  window_seconds,
  items,
  unread_items,
  resources,
}: IntegrationFreshness): void {
  const unread = unread_items === 0 ? "" : `, ${yellow(`${unread_items} not read yet`)}`;
  say(`${bold(name)} ${dim(integration_id)}  ${plural(items, "item")}${unread}`);
  if (as_of === null) return say(dim("Not counted yet: a process with the role sync does so within a minute.\n"));
  sayTable(
    resources,
    {
      resource: ({ resource, kind }) => (kind === "item" ? resource : `${resource} ${dim(kind)}`),
      "have it": ({ subjects }) => String(subjects),
      [`within ${windowText(window_seconds ?? 0)}`]: withinOf,
      "never read": ({ never_read }) => (never_read === 0 ? dim("0") : yellow(String(never_read))),
      "oldest reading": ({ oldest_verified_at }) => ago(oldest_verified_at),
    },
    "Nothing was read yet.",
  );
  say(dim(`counted ${ago(as_of)}\n`));
}

/** `24 h`, `2 min` */
const windowText = (seconds: number): string =>
  seconds < 3600 ? `${Math.round(seconds / 6) / 10} min` : `${Math.round(seconds / 360) / 10} h`;

/** `12711 (99.4 %)` */
function withinOf({ within_window, subjects }: ResourceFreshness): string {
  const percent = subjects === 0 ? 100 : Math.floor((1000 * within_window) / subjects) / 10;
  return (within_window === subjects ? green : yellow)(`${within_window} (${percent} %)`);
}
