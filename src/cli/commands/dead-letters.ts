/** `tartan dead-letters …`: deliveries that were given up, by destination and cause; sending them again. */
import { Command } from "commander";
import { groups } from "../../relay/ledger/dead-letters.ts";
import { listDeliveries } from "../../relay/ledger/deliveries.ts";
import { createRedrive } from "../../relay/jobs/jobs.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { sayDeliveries } from "../output/deliveries.ts";
import { readRange, TIME_HELP } from "../input/instants.ts";
import { runJob, type JobFlags } from "./jobs/run.ts";
import { ago, bold, COUNTED_TO, countUpTo, red, sayJson, sayJsonList, sayTable, tell, dim } from "../output/print.ts";

interface Flags {
  destination?: string;
  cause?: string;
  json?: true;
}

const GROUPS_SHOWN = 500;

interface RedriveFlags extends Flags, JobFlags {
  delivery?: string[];
  item?: string;
  since?: string;
  until?: string;
  failed?: true;
  json?: true;
}

export function deadLettersCommand(): Command {
  const letters = new Command("dead-letters")
    .description("deliveries that were given up, by destination and cause")
    .enablePositionalOptions()
    .option("--destination <id>", "only those of this destination")
    .option("--json", "print JSON")
    .action(withCore(overview));
  letters
    .command("list")
    .description("list the dead letters one by one")
    .option("--destination <id>", "only those of this destination")
    .option("--cause <cause>", "only those with this cause, such as status_500, timeout or transform_error")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  letters
    .command("redrive")
    .description("send dead letters again: all, or those of a destination, cause, item or time")
    .option("--destination <id>", "only those of this destination")
    .option("--cause <cause>", "only those with this cause, such as status_500")
    .option("--item <id>", "only those of this item")
    .option("--since <time>", `only those that failed from then on: ${TIME_HELP}`)
    .option("--until <time>", "only those that failed before then")
    .option("--delivery <ids...>", "only these")
    .option("--failed", "also failed deliveries that wait for a retry; they are sent now")
    .option("--reason <text>", "why; shown with the job")
    .option("--yes", "do not ask for confirmation")
    .option("--dry-run", "only count the deliveries")
    .option("--follow", "wait until all are scheduled")
    .option("--json", "print JSON")
    .action(withCore(redrive));
  return letters;
}

async function overview({ database }: Core, { destination, json }: Flags): Promise<void> {
  const { data: found, next_cursor } = await groups(database, {
    limit: GROUPS_SHOWN,
    ...(destination !== undefined && { destination_id: destination }),
  });
  if (json) return sayJsonList(found);
  sayTable(
    found,
    {
      destination: ({ destination_id, destination_name }) =>
        destination_name ? bold(destination_name) : destination_id,
      cause: ({ cause }) => red(cause ?? ""),
      count: ({ count }) => countUpTo(count, COUNTED_TO.group),
      "can be sent again": ({ replayable }) => countUpTo(replayable, COUNTED_TO.group),
      first: ({ first_at }) => ago(first_at),
      last: ({ last_at }) => ago(last_at),
    },
    "There are no dead letters.",
  );
  if (next_cursor !== null)
    tell(dim("there are more groups; name a destination, or page through GET /v1/dead-letters"));
  if (found.length > 0) tell(dim("send them again: npx tartan dead-letters redrive --destination … --cause …"));
}

async function list({ database }: Core, flags: Flags & { limit: string; cursor?: string }): Promise<void> {
  const page = await listDeliveries(database, {
    status: "dead",
    limit: Number(flags.limit),
    ...(flags.destination && { destination_id: flags.destination }),
    ...(flags.cause && { cause: flags.cause }),
    ...(flags.cursor && { cursor: flags.cursor }),
  });
  if (flags.json) return sayJson(page);
  sayDeliveries(page, "There are no dead letters.");
}

async function redrive({ database }: Core, flags: RedriveFlags): Promise<void> {
  const request = {
    ...(flags.destination && { destination_id: flags.destination }),
    ...(flags.cause && { cause: flags.cause }),
    ...(flags.item && { item_id: flags.item }),
    ...(flags.delivery && { delivery_ids: flags.delivery }),
    ...(flags.failed && { state: "failed" as const }),
    ...readRange(flags),
    reason: flags.reason ?? "",
  };
  const name = flags.failed ? "failed delivery" : "dead letter";
  const names = flags.failed ? "failed deliveries" : "dead letters";
  const what = (count: number) => `This sends ${count} ${count === 1 ? name : names} again.`;
  await runJob(database, (dry_run) => createRedrive(database, { ...request, dry_run }), what, flags);
}
