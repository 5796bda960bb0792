/** `tartan replay`: sends a destination again what it was sent: an event, an item's, or a range of time. */
import { Command, Option } from "commander";
import { TartanError } from "../../errors.ts";
import { createReplay } from "../../relay/jobs/jobs.ts";
import { withCore, type Core } from "../core.ts";
import { readRange } from "../instants.ts";
import { runJob, type JobFlags } from "../jobs.ts";

interface Flags extends JobFlags {
  destination: string;
  event?: string;
  item?: string;
  integration?: string;
  events?: string[];
  /** the former name of --events */
  types?: string[];
  since?: string;
  until?: string;
}

export function replayCommand(): Command {
  return new Command("replay")
    .description("send a destination again what it was sent: the same bytes under the same ids, signed anew")
    .requiredOption("--destination <id>")
    .option("--event <id>", "this event")
    .option("--item <id>", "of this item")
    .option("--integration <id>", "of this integration")
    .option("--events <types...>", "of these types, such as transactions.changed or item.*")
    .addOption(new Option("--types <types...>").hideHelp())
    .option("--since <while>", "such as 30m, 24h, 7d, or a date")
    .option("--until <while>", "the same")
    .option("--reason <text>", "why, for the record")
    .option("--yes", "do not ask")
    .option("--dry-run", "only count")
    .option("--follow", "wait until all are scheduled")
    .option("--json", "print JSON")
    .action(withCore(replay));
}

async function replay({ database }: Core, flags: Flags): Promise<void> {
  const { destination, event, item, integration, events, types = events, reason = "" } = flags;
  const wish = {
    ...(event && { event_id: event }),
    ...(item && { item_id: item }),
    ...(integration && { integration_id: integration }),
    ...(types && { types }),
    ...readRange(flags),
  };
  if (Object.keys(wish).length === 0) {
    throw new TartanError(
      "invalid_request",
      "Say what to replay: --event, --item, --integration, --events or --since.",
    );
  }
  const ask = (dry_run: boolean) => createReplay(database, { destination_id: destination, ...wish, reason, dry_run });
  await runJob(
    database,
    ask,
    (count) => `${count} event${count === 1 ? " is" : "s are"} sent again to ${destination}.`,
    flags,
  );
}
