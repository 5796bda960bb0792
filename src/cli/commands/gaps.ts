/** `tartan gaps list`: what Plaid did not tell, and how it was healed. */
import { Command } from "commander";
import { listGaps, type GapRecord } from "../../silence/gaps.ts";
import { PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { describeChanges } from "../output/describe.ts";
import { ago, dim, plural, sayJson, sayTable, short, tell, yellow } from "../output/print.ts";
import { withCore, type Core } from "../wiring/core.ts";

interface Flags {
  integration?: string;
  item?: string;
  limit: string;
  cursor?: string;
  json?: true;
}

export function gapsCommand(): Command {
  const gaps = new Command("gaps").description("what changed at Plaid without a webhook that arrived");
  gaps
    .command("list")
    .description("list gaps, newest first: how each was found, what was missed, and when it was healed")
    .option("--integration <id>", "only those of this integration")
    .option("--item <id>", "only those of this item")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  return gaps;
}

async function list({ database }: Core, { integration, item, limit, cursor, json }: Flags): Promise<void> {
  const page = await listGaps(database, { integration_id: integration, item_id: item, limit: Number(limit), cursor });
  if (json) return sayJson(page);
  sayTable(
    page.data,
    {
      found: ({ found_at }) => ago(found_at),
      by: ({ found_by }) => found_by,
      item: ({ item_id, subject }) => short(item_id ?? subject?.id),
      missed: missedBy,
      healed: healedAfter,
      "rows changed": ({ outcome, counts }) => (outcome === null ? "" : describeChanges({ outcome, counts })),
      webhook: ({ id }) => dim(id),
    },
    "Tartan found no gap: what it checked was equal to Plaid.",
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

/** `SYNC_UPDATES_AVAILABLE sent 2 h ago`, `error of the item`, `rows of transactions`, `2 wrong rows in accounts`. */
function missedBy({
  missed_webhook: missed,
  differing_fields,
  error,
  changed_resources,
  wrong_rows,
}: GapRecord): string {
  const parts = [
    ...(missed ? [`${missed.webhook_code}${missed.sent_at === null ? "" : ` sent ${ago(missed.sent_at)}`}`] : []),
    ...(error ? [String(error["error_code"] ?? "an error")] : []),
    ...(differing_fields.length > 0 ? [`${differing_fields.join(", ")} of the item`] : []),
    ...(changed_resources.length > 0 ? [`rows of ${changed_resources.join(", ")}`] : []),
    ...(wrong_rows.length > 0 ? [`${plural(wrong_rows.length, "wrong row")} in ${tablesOf(wrong_rows)}`] : []),
  ];
  return parts.join("; ") || dim("not known any more");
}

const tablesOf = (rows: GapRecord["wrong_rows"]): string => [...new Set(rows.map(({ table }) => table))].join(", ");

/** One without a time, of which a run has the outcome, is about what was unlinked or erased since. */
const healedAfter = ({ found_at, healed_at, outcome }: GapRecord): string =>
  healed_at !== null ? after(found_at, healed_at) : outcome === null ? yellow("not yet") : dim("–");

const after = (from: string, to: string): string => `after ${seconds((Date.parse(to) - Date.parse(from)) / 1000)}`;

const seconds = (count: number): string =>
  count < 120 ? `${Math.max(0, Math.round(count * 10) / 10)} s` : `${Math.round(count / 60)} min`;
