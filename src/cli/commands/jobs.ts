/** `tartan jobs …`: replays and redrives, and their progress. */
import { Command } from "commander";
import { cancelJob, listJobs, pauseJob, resumeJob } from "../../relay/jobs/jobs.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { PAGE_SIZE_HELP, pageSize } from "../input/flags.ts";
import { sayJob } from "../output/jobs.ts";
import { followJob, jobOf } from "./jobs/run.ts";
import { ago, dim, green, say, sayJson, sayTable, short, state, tell } from "../output/print.ts";

interface Json {
  json?: true;
}

const CHANGES = {
  pause: { about: "pause a job after its current batch", done: "is paused", change: pauseJob },
  resume: { about: "continue a paused job", done: "continues", change: resumeJob },
  cancel: {
    about: "end a job; deliveries that it has scheduled are still sent",
    done: "is cancelled",
    change: cancelJob,
  },
};

export function jobsCommand(): Command {
  const jobs = new Command("jobs").description("replays, redrives, and routing of past events");
  jobs
    .command("list")
    .description("list jobs, newest first")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, "25")
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  jobs
    .command("show <id>")
    .description("show one job")
    .option("--follow", "show its progress until it is done")
    .option("--json", "print JSON")
    .action(withCore(show));
  for (const [verb, { about, done, change }] of Object.entries(CHANGES)) {
    jobs
      .command(`${verb} <id>`)
      .description(about)
      .option("--json", "print JSON")
      .action(
        withCore(async ({ database }: Core, id: string, { json }: Json) => {
          const job = await change(database, id);
          if (json) return sayJson(job);
          say(`${green("✓")} ${id} ${done}`);
        }),
      );
  }
  return jobs;
}

async function list({ database }: Core, flags: Json & { limit: string; cursor?: string }): Promise<void> {
  const page = await listJobs(database, { limit: Number(flags.limit), ...(flags.cursor && { cursor: flags.cursor }) });
  if (flags.json) return sayJson(page);
  sayTable(
    page.data,
    {
      id: ({ id }) => id,
      kind: ({ kind }) => kind,
      status: ({ status }) => state(status),
      progress: ({ done, total }) => `${done}/${total}`,
      scheduled: ({ changed }) => String(changed),
      destination: ({ destination_id }) => short(destination_id),
      reason: ({ reason }) => dim(reason),
      created: ({ created_at }) => ago(created_at),
    },
    "There is no job yet: npx tartan dead-letters redrive, npx tartan replay",
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

async function show({ database }: Core, id: string, flags: Json & { follow?: true }): Promise<void> {
  if (flags.follow) return followJob(database, id, flags);
  sayJob(await jobOf(database, id), flags);
}
