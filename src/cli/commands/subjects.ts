/** `tartan subjects …`: what belongs to no item (payments, users, reports …): show, add, sync and erase. */
import { Command } from "commander";
import { eraseSubject } from "../../lifecycle/subjects.ts";
import { ITEM_STATUSES } from "../../model/statuses.ts";
import { OTHER_KINDS } from "../../resources/index.ts";
import {
  addSubject,
  getSubject,
  integrationOf,
  listSubjects,
  requestSubjectSync,
  type SubjectState,
} from "../../sync/subjects.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { confirm } from "../input/confirm.ts";
import { choiceOf, listOf, PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { sayResources } from "../output/resources.ts";
import { ago, bold, dim, green, red, say, sayFacts, sayJson, sayTable, short, state, tell } from "../output/print.ts";
import { withCore, type Core } from "../wiring/core.ts";

interface Json {
  json?: true;
}
interface Which {
  integration?: string;
}

const WHICH = "which integration is meant, if several know it (default: the latest)";
const ONE = "which integration is meant; required if several know it";

export function subjectsCommand(): Command {
  const subjects = new Command("subjects").description(
    "what Tartan mirrors that belongs to no item, such as payments and users",
  );
  subjects
    .command("list")
    .description("list subjects")
    .option("--integration <id>", "only those of this integration")
    .option("--kind <kind>", `only subjects of this kind: ${choiceOf(OTHER_KINDS)}`)
    .option("--status <status>", `only subjects with this status: ${choiceOf(ITEM_STATUSES)}`)
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  subjects
    .command("show <kind> <id>")
    .description("show one subject and how fresh its resources are")
    .option("--integration <id>", WHICH)
    .option("--json", "print JSON")
    .action(withCore(show));
  subjects
    .command("add <kind> <id>")
    .description("make a subject known and sync it; PLAID_SUBJECT_TOKEN holds its token where it has one")
    .requiredOption("--integration <id>", "the integration whose Plaid client has it")
    .option("--user <id>", "your identifier of its user")
    .option("--json", "print JSON")
    .action(withCore(add));
  subjects
    .command("sync <kind> <id>")
    .description("bring one subject up to date now")
    .option("--integration <id>", ONE)
    .option("--resources <names>", "only these resources, separated by commas", listOf)
    .option("--full", "read everything again and mark as removed what Plaid no longer has")
    .option("--json", "print JSON")
    .action(withCore(sync));
  subjects
    .command("erase <kind> <id>")
    .description("delete its token, its mirrored rows, its webhooks and its events")
    .option("--integration <id>", ONE)
    .option(REASON, REASON_HELP)
    .option("--yes", "do not ask for confirmation")
    .option("--json", "print JSON")
    .action(withCore(erase));
  return subjects;
}

interface ListFlags extends Json, Which {
  kind?: string;
  status?: string;
  limit: string;
  cursor?: string;
}

async function list({ database }: Core, flags: ListFlags): Promise<void> {
  const { integration: integration_id, kind, status, cursor } = flags;
  const page = await listSubjects(database, { limit: Number(flags.limit), integration_id, kind, status, cursor });
  if (flags.json) return sayJson(page);
  sayTable(
    page.data,
    {
      kind: (subject) => subject.kind,
      id: (subject) => bold(subject.id),
      user: ({ user_id }) => short(user_id),
      status: (subject) => state(subject.due && subject.status === "ok" ? "due" : subject.status),
      error: ({ error_code }) => red(error_code ?? ""),
      "equal to Plaid": ({ verified_at }) => ago(verified_at),
    },
    kind || status || integration_id
      ? "No subject matches these filters; `npx tartan subjects list` shows all."
      : "There is no subject yet: Plaid's webhooks make them known, and so does `npx tartan subjects add`.",
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

async function show({ database }: Core, kind: string, id: string, { integration, json }: Json & Which): Promise<void> {
  const { resources, ...subject } = await getSubject(database, { kind, id, integration_id: integration });
  if (json) return sayJson({ ...subject, resources });
  sayFacts(factsOf(subject));
  say();
  sayResources(resources);
}

const factsOf = (subject: SubjectState): Record<string, string | null> => ({
  [subject.kind]: bold(subject.id),
  integration: subject.integration_id,
  user: subject.user_id,
  status: state(subject.status),
  error: subject.error_code ? `${red(subject.error_code)}  ${subject.error_message ?? ""}` : null,
  "next step": subject.next_step,
  added: ago(subject.added_at),
  "equal to Plaid": ago(subject.verified_at),
});

type AddFlags = Json & { integration: string; user?: string };

async function add(core: Core, kind: string, id: string, { integration, user, json }: AddFlags): Promise<void> {
  const token = process.env["PLAID_SUBJECT_TOKEN"];
  const added = await addSubject(core, {
    integration_id: integration,
    kind,
    id,
    token: token === "" ? undefined : token,
    user_id: user,
  });
  if (json) return sayJson(added);
  say(`${green("✓")} ${kind} ${id} is ${added.created ? "added" : "updated"} and will be synced`);
}

type SyncFlags = Json & Which & { full?: true; resources?: string[] };

async function sync({ database }: Core, kind: string, id: string, flags: SyncFlags): Promise<void> {
  const { integration, full, resources, json } = flags;
  const which = { kind, id, integration_id: integration };
  await requestSubjectSync(database, which, { full: full === true, ...(resources && { resources }) });
  if (json) return sayJson({ kind, id, due: true });
  say(`${green("✓")} ${kind} ${id} will be synced now`);
}

type EraseFlags = Json & Which & { yes?: true; reason?: string };

async function erase({ database }: Core, kind: string, id: string, flags: EraseFlags): Promise<void> {
  const integration_id = await integrationOf(database, { kind, id, integration_id: flags.integration });
  await confirm(`This deletes everything that Tartan has about ${kind} ${id} of integration ${integration_id}.`, {
    ...(flags.yes && { yes: true }),
  });
  await eraseSubject(database, integration_id, { kind, id }, byUser(flags.reason));
  if (flags.json) return sayJson({ kind, id, integration_id, erased: true });
  tell(`${green("✓")} ${kind} ${id} of integration ${integration_id} is erased`);
}
