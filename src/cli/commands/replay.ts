/** `tartan replay`: sends a destination past events again: one event, those of an item, or those of a range of time. */
import { Command, Option } from "commander";
import { TartanError } from "../../errors.ts";
import { createReplay } from "../../relay/jobs/jobs.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { readRange, TIME_HELP } from "../input/instants.ts";
import { runJob, type JobFlags } from "./jobs/run.ts";

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
    .description("send a destination past events again: the same bytes under the same ids, signed anew")
    .requiredOption("--destination <id>", "the destination to send to")
    .option("--event <id>", "only this event")
    .option("--item <id>", "only events of this item")
    .option("--integration <id>", "only events of this integration")
    .option("--events <types...>", "only these types, such as transactions.changed or item.*")
    .addOption(new Option("--types <types...>").hideHelp())
    .option("--since <time>", `only events from then on: ${TIME_HELP}`)
    .option("--until <time>", "only events before then")
    .option("--reason <text>", "why; shown with the job")
    .option("--yes", "do not ask for confirmation")
    .option("--dry-run", "only count the deliveries")
    .option("--follow", "wait until all are scheduled")
    .option("--json", "print JSON")
    .action(withCore(replay));
}

async function replay({ database }: Core, flags: Flags): Promise<void> {
  const { destination, event, item, integration, events, types = events, reason = "" } = flags;
  const request = {
    ...(event && { event_id: event }),
    ...(item && { item_id: item }),
    ...(integration && { integration_id: integration }),
    ...(types && { types }),
    ...readRange(flags),
  };
  if (Object.keys(request).length === 0) {
    throw new TartanError(
      "invalid_request",
      "Say what to replay, with --event, --item, --integration, --events or --since.",
    );
  }
  const ask = (dry_run: boolean) =>
    createReplay(database, { destination_id: destination, ...request, reason, dry_run });
  await runJob(
    database,
    ask,
    (count) => `This sends ${count} event${count === 1 ? "" : "s"} to ${destination} again.`,
    flags,
  );
}
