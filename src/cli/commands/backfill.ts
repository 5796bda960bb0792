/** `tartan backfill …`: reads many items again, behind all that webhooks make due. */
import { Command } from "commander";
import { getEveryJob, listEveryJob, turnJob } from "../../api/nouns/jobs/every-job.ts";
import { BACKFILL_MODES, type BackfillRequest } from "../../fleet/reading.schema.ts";
import { createBackfill } from "../../fleet/readings.ts";
import { PER_MINUTE } from "../../fleet/webhook-move.schema.ts";
import { TartanError } from "../../errors.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { choiceOf, listOf, PAGE_SIZE_HELP, pageSize, wholeNumber } from "../input/flags.ts";
import { readRange, TIME_HELP } from "../input/instants.ts";
import { sayJob } from "../output/jobs.ts";
import { ago, dim, green, plural, red, say, sayJson, sayTable, state, tell } from "../output/print.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { followJob } from "./jobs/run.ts";
import { startReading, type ReadingFlags } from "./items/readings.ts";

interface Json {
  json?: true;
}

const TURNS = {
  pause: { about: "pause a backfill; what is being read ends", done: "is paused" },
  resume: { about: "continue a paused backfill", done: "continues" },
  cancel: { about: "end a backfill; what was read stays", done: "is cancelled" },
} as const;

export function backfillCommand(): Command {
  const backfill = new Command("backfill").description("read many items again, behind all that webhooks make due");
  backfill.addCommand(startCommand());
  backfill
    .command("list")
    .description("list backfills, newest first")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, "25")
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  backfill
    .command("show <id>")
    .description("show one backfill, and why items failed")
    .option("--follow", "show its progress until it is done")
    .option("--json", "print JSON")
    .action(withCore(show));
  for (const turn of ["pause", "resume", "cancel"] as const) {
    const { about, done } = TURNS[turn];
    backfill
      .command(`${turn} <id>`)
      .description(about)
      .option(REASON, REASON_HELP)
      .option("--json", "print JSON")
      .action(
        withCore(async ({ database }: Core, id: string, { json, reason }: Json & { reason?: string }) => {
          const job = await turnJob(database, await backfillOf(database, id), turn, byUser(reason));
          if (json) return sayJson(job);
          say(`${green("✓")} ${id} ${done}`);
        }),
      );
  }
  return backfill;
}

const startCommand = (): Command =>
  new Command("start")
    .description(
      "read again the items of an integration or of a user, named ones, or those that had webhooks in a range of time",
    )
    .option("--integration <id>", "only items of this integration")
    .option("--user <id>", "only items of this user, by your identifier")
    .option("--item <ids...>", "only these items")
    .option("--since <time>", `only items that had webhooks from then on: ${TIME_HELP}`)
    .option("--until <time>", "only items that had webhooks before then")
    .option(
      "--mode <mode>",
      `${choiceOf(BACKFILL_MODES)}: everything again (default), or with --since what those webhooks touch`,
    )
    .option("--resources <names>", "only these resources, separated by commas", listOf)
    .option(
      "--per-minute <count>",
      "begin at most so many items a minute (default: 120)",
      wholeNumber(PER_MINUTE.least, PER_MINUTE.most),
    )
    .option(REASON, REASON_HELP)
    .option("--dry-run", "only say how many items it would be about")
    .option("--follow", "wait until it is done")
    .option("--yes", "do not ask for confirmation")
    .option("--json", "print JSON")
    .action(withCore(start));

interface StartFlags extends ReadingFlags {
  since?: string;
  until?: string;
  mode?: string;
}

const start = async ({ database }: Core, flags: StartFlags): Promise<void> =>
  await startReading(
    database,
    flags,
    (chosen) => {
      const { from, to } = readRange(flags);
      const given = {
        ...(from && { from: from.toISOString() }),
        ...(to && { to: to.toISOString() }),
        ...(flags.mode && { mode: flags.mode as BackfillRequest["mode"] }),
      };
      return createBackfill(database, { ...chosen, ...given }, byUser(flags.reason));
    },
    (count) => `This reads ${plural(count, "item")} again.`,
  );

async function list({ database }: Core, flags: Json & { limit: string; cursor?: string }): Promise<void> {
  const { limit, cursor } = flags;
  const page = await listEveryJob(database, { kind: "backfill", limit: Number(limit), ...(cursor && { cursor }) });
  if (flags.json) return sayJson(page);
  sayTable(
    page.data,
    {
      id: ({ id }) => id,
      status: ({ status }) => state(status),
      progress: ({ done, total }) => `${done}/${total}`,
      failed: ({ failed }) => (failed > 0 ? red(String(failed)) : "0"),
      reason: ({ reason }) => dim(reason),
      created: ({ created_at }) => ago(created_at),
    },
    "There is no backfill yet: npx tartan backfill start",
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

async function show({ database }: Core, id: string, flags: Json & { follow?: true }): Promise<void> {
  await backfillOf(database, id);
  if (flags.follow) return followJob(database, id, flags);
  sayJob(await getEveryJob(database, id), flags);
}

/** @throws TartanError `not_found` for another job too */
async function backfillOf(database: Core["database"], id: string): Promise<string> {
  const { kind } = await getEveryJob(database, id);
  if (kind === "backfill") return id;
  throw new TartanError("not_found", `Job ${id} is no backfill; see \`npx tartan jobs show ${id}\`.`);
}
