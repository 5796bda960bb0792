/** `tartan jobs …`: replays, redrives and work on many items, and their progress. */
import { Command } from "commander";
import {
  ALL_KINDS,
  getEveryJob,
  listEveryJob,
  ofFleet,
  paceJob,
  turnJob,
  type JobFilter,
} from "../../api/nouns/jobs/every-job.ts";
import { retryFleetJob } from "../../fleet/jobs.ts";
import { PaceRequest } from "../../fleet/webhook-move.schema.ts";
import { checked } from "../../model/validation.ts";
import { listMembers, type MemberRecord } from "../../fleet/members.ts";
import { JOB_STATUSES } from "../../model/statuses.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { choiceOf, PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { sayJob } from "../output/jobs.ts";
import { followJob } from "./jobs/run.ts";
import { ago, dim, green, plural, red, say, sayJson, sayTable, short, state, tell } from "../output/print.ts";

interface Json {
  json?: true;
}

interface Paged extends Json {
  limit: string;
  cursor?: string;
}

interface ListFlags extends Paged {
  status?: JobFilter["status"];
  kind?: JobFilter["kind"];
}

const CHANGES = {
  pause: { about: "pause a job after what is under way", done: "is paused" },
  resume: { about: "continue a paused job", done: "continues" },
  cancel: {
    about: "end a job; what it has done stays, and deliveries that it scheduled are sent",
    done: "is cancelled",
  },
} as const;

const ABOUT = "replays and redrives, and work on many items: moves of webhook URLs, checks, backfills";

export function jobsCommand(): Command {
  const jobs = new Command("jobs").description(ABOUT);
  jobs
    .command("list")
    .description("list jobs, newest first")
    .option("--status <status>", `only jobs with this status: ${choiceOf(JOB_STATUSES)}`)
    .option("--kind <kind>", `only jobs of this kind: ${choiceOf(ALL_KINDS)}`)
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
  jobs
    .command("members <id>")
    .description("list the items of a job about items, and how far each is")
    .option("--state <state>", "only items in this state, such as failed")
    .option("--cause <cause>", "only items that failed for this cause")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(members));
  for (const verb of Object.keys(CHANGES) as (keyof typeof CHANGES)[]) {
    jobs
      .command(`${verb} <id>`)
      .description(CHANGES[verb].about)
      .option(REASON, REASON_HELP)
      .option("--json", "print JSON")
      .action(withCore(turn(verb)));
  }
  jobs.addCommand(paceCommand());
  jobs.addCommand(retryCommand());
  return jobs;
}

const paceCommand = (): Command =>
  new Command("pace")
    .argument("<id>")
    .argument("<per_minute>")
    .description("change how many items a job about items begins in a minute, 1 to 60000")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON")
    .action(withCore(pace));

const retryCommand = (): Command =>
  new Command("retry")
    .argument("<id>")
    .description("try failed items of a job again")
    .option("--cause <cause>", "only items that failed for this cause")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON")
    .action(withCore(retry));

async function list({ database }: Core, flags: ListFlags): Promise<void> {
  const { status, kind, cursor } = flags;
  const page = await listEveryJob(database, {
    limit: Number(flags.limit),
    ...(status && { status }),
    ...(kind && { kind }),
    ...(cursor && { cursor }),
  });
  if (flags.json) return sayJson(page);
  sayTable(
    page.data,
    {
      id: ({ id }) => id,
      kind: ({ kind }) => kind,
      status: ({ status }) => state(status),
      progress: ({ done, total }) => `${done}/${total}`,
      changed: ({ changed }) => String(changed),
      failed: ({ failed }) => (failed === 0 ? "" : red(String(failed))),
      destination: ({ destination_id }) => short(destination_id),
      reason: ({ reason }) => dim(reason),
      created: ({ created_at }) => ago(created_at),
    },
    status || kind ? "No job matches." : NO_JOB,
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

const NO_JOB =
  "There is no job yet: npx tartan dead-letters redrive, replay, items move-webhooks, items check --all and backfill start make one.";

async function show({ database }: Core, id: string, flags: Json & { follow?: true }): Promise<void> {
  if (flags.follow) return followJob(database, id, flags);
  sayJob(await getEveryJob(database, id), flags);
}

type MemberFlags = Paged & { state?: string; cause?: string };

async function members({ database }: Core, id: string, flags: MemberFlags): Promise<void> {
  const { limit, cursor, state: wanted, cause } = flags;
  const filter = { ...(wanted && { state: wanted }), ...(cause && { cause }), ...(cursor && { cursor }) };
  const listed = await listMembers(database, id, { limit: Number(limit), ...filter });
  if (flags.json) return sayJson(listed);
  sayTable(
    listed.data,
    {
      item: ({ item_id }) => item_id,
      state: (member) => state(member.state),
      since: ({ since }) => ago(since),
      "what is wrong": ({ cause: why, message }) => (why === null ? "" : `${why}: ${message}`),
      details: ({ details }) => dim(detailsOf(details)),
    },
    "There is no such item in the job.",
  );
  if (listed.next_cursor) tell(dim(`more: --cursor ${listed.next_cursor}`));
}

/** Ids by which a move recognises its acknowledgement. */
const INTERNAL = new Set(["after", "acknowledgement"]);

const detailsOf = (details: MemberRecord["details"]): string =>
  Object.entries(details)
    .filter(([name, value]) => !INTERNAL.has(name) && (typeof value === "string" || value === null))
    .map(([name, value]) => `${name}=${value === null ? "none" : String(value)}`)
    .join(" ");

const turn =
  (verb: keyof typeof CHANGES) =>
  async ({ database }: Core, id: string, { json, reason }: Json & { reason?: string }): Promise<void> => {
    const job = await turnJob(database, id, verb, byUser(reason));
    if (json) return sayJson(job);
    say(`${green("✓")} ${id} ${CHANGES[verb].done}`);
  };

async function pace(
  { database }: Core,
  id: string,
  perMinute: string,
  { json, reason }: Json & { reason?: string },
): Promise<void> {
  const { per_minute } = checked(PaceRequest, { per_minute: Number(perMinute) }, "request");
  const job = await paceJob(database, id, per_minute, byUser(reason));
  if (json) return sayJson(job);
  say(`${green("✓")} ${id} begins ${plural(per_minute, "item")} a minute`);
}

async function retry(
  { database }: Core,
  id: string,
  { json, cause, reason }: Json & { cause?: string; reason?: string },
): Promise<void> {
  const job = ofFleet(await retryFleetJob(database, id, { cause }, byUser(reason)));
  if (json) return sayJson(job);
  const goesOn = job.status === "paused" ? "is paused still" : "continues";
  say(`${green("✓")} ${id} ${goesOn}; ${plural(job.total - job.done, "item")} to do`);
}
