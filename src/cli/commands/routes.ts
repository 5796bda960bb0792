/** `tartan routes …`: which events a destination receives, and in which form. */
import { Command } from "commander";
import { TartanError } from "../../errors.ts";
import { createRoutePast } from "../../relay/jobs/jobs.ts";
import { previewRoute } from "../../relay/routing/preview.ts";
import {
  createRoute,
  deleteRoute,
  getRoute,
  listRoutes,
  updateRoute,
  type RouteChange,
  type RouteState,
} from "../../relay/routing/routes.ts";
import { openTransforms } from "../../relay/content/transform.ts";
import { confirm } from "../input/confirm.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { PreviewRequest } from "../../relay/routing/route.schema.ts";
import { rangeOf, wholeNumberOf } from "../input/flags.ts";
import { readInstant, readRange, TIME_HELP } from "../input/instants.ts";
import { runJob, type JobFlags } from "./jobs/run.ts";
import { describeFilter } from "../output/describe.ts";
import {
  ago,
  bold,
  cyan,
  dim,
  green,
  red,
  say,
  sayFacts,
  sayJson,
  sayJsonList,
  sayTable,
  state,
  tell,
  yellow,
} from "../output/print.ts";
import { addRouteOptions, readRoute, type RouteFlags } from "../input/route-flags.ts";

interface Json {
  json?: true;
}

const EVENTS = PreviewRequest.shape.limit;
const EVENTS_HELP = `how many events to read at most, ${rangeOf(EVENTS)}`;

export function routesCommand(): Command {
  const routes = new Command("routes").description("which events a destination receives, and in which form");
  addRouteOptions(routes.command("create <destination>").description("create a route to a destination"))
    .option("--name <name>", "a name of your choice")
    .option("--json", "print JSON")
    .action(withCore(create));
  routes
    .command("list")
    .description("list the routes")
    .option("--destination <id>", "only routes to this destination")
    .option("--json", "print JSON")
    .action(withCore(list));
  routes.command("show <id>").description("show one route").option("--json", "print JSON").action(withCore(show));
  addRouteOptions(routes.command("update <id>").description("change a route; what you do not mention stays"))
    .option("--no-match", "remove the matcher")
    .option("--no-history", "leave out events of an item's first reading")
    .option("--name <name>", "a name of your choice")
    .option("--enable", "match events again")
    .option("--disable", "match no events until you enable it")
    .option("--json", "print JSON")
    .action(withCore(update));
  routes
    .command("delete <id>")
    .description("delete a route; its deliveries are still sent")
    .option("--yes", "do not ask for confirmation")
    .action(withCore(remove));
  addRouteOptions(routes.command("preview [id]").description("try a route, or changes to one, on past events"))
    .option("--since <time>", `events from then on: ${TIME_HELP}`, "24h")
    .option("--until <time>", "events before then (default: now)")
    .option("--limit <count>", EVENTS_HELP, wholeNumberOf(EVENTS), String(EVENTS.parse(undefined)))
    .option("--whole", "print the first 4 kB of each body instead of 300 characters")
    .option("--json", "print JSON")
    .action(withCore(preview));
  routes
    .command("route-past <id>")
    .description("send past events through a route, except those that its destination already received")
    .requiredOption("--since <time>", `events from then on: ${TIME_HELP}`)
    .option("--until <time>", "events before then (default: now)")
    .option("--reason <text>", "why; shown with the job")
    .option("--yes", "do not ask for confirmation")
    .option("--dry-run", "only count the deliveries")
    .option("--follow", "wait until the job is done")
    .option("--json", "print JSON")
    .action(withCore(routePast));
  return routes;
}

async function create(
  { database }: Core,
  destination: string,
  flags: RouteFlags & Json & { name?: string },
): Promise<void> {
  const request = { destination_id: destination, ...(flags.name && { name: flags.name }), ...readRoute(flags) };
  const made = await createRoute(database, request);
  if (flags.json) return sayJson(made);
  say(`${green("✓")} ${bold(describeFilter(made.filter))} goes to ${made.destination_id}`);
  sayFacts({ id: made.id, form: made.form });
  tell(dim(`to send past events: npx tartan routes route-past ${made.id} --since 24h`));
}

async function list({ database }: Core, { destination, json }: Json & { destination?: string }): Promise<void> {
  const routes = await listRoutes(database, { destination_id: destination });
  if (json) return sayJsonList(routes);
  sayTable(
    routes,
    {
      id: ({ id }) => id,
      name: ({ name }) => bold(name),
      matches: ({ filter, match }) => describeFilter(filter) + (match ? dim(" + match") : ""),
      form: ({ form }) => form,
      destination: ({ destination_id }) => destination_id,
      status: ({ enabled }) => state(enabled ? "enabled" : "disabled"),
    },
    "There is no route yet: npx tartan destinations create https://…",
  );
}

async function show({ database }: Core, id: string, { json }: Json): Promise<void> {
  const route = await routeOf(database, id);
  if (json) return sayJson(route);
  sayFacts({
    id,
    name: route.name && bold(route.name),
    destination: route.destination_id,
    matches: describeFilter(route.filter),
    match: route.match && JSON.stringify(route.match),
    form: route.form,
    status: state(route.enabled ? "enabled" : "disabled"),
    version: `${route.version} ${dim(ago(route.updated_at))}`,
  });
  if (route.transform) say(`\n${route.transform}`);
}

async function routeOf(database: Core["database"], id: string): Promise<RouteState> {
  const route = await getRoute(database, id);
  if (!route) throw new TartanError("not_found", `There is no route ${id}; see \`npx tartan routes list\`.`);
  return route;
}

interface UpdateFlags extends Omit<RouteFlags, "history">, Json {
  history?: boolean;
  name?: string;
  enable?: true;
  disable?: true;
}

async function update({ database }: Core, id: string, flags: UpdateFlags): Promise<void> {
  const before = await routeOf(database, id);
  const changed = await updateRoute(database, id, {
    ...changesTo(before, flags),
    ...(flags.name !== undefined && { name: flags.name }),
    ...((flags.enable || flags.disable) && { enabled: flags.enable === true }),
  });
  if (flags.json) return sayJson(changed);
  say(`${green("✓")} ${id} matches ${bold(describeFilter(changed.filter))}`);
}

/** Replaces the lists of a filter that the flags mention; the others stay. */
function changesTo(before: RouteState, { history, ...flags }: UpdateFlags): RouteChange {
  const request = readRoute({ ...flags, ...(history === true && { history }) });
  return { ...request, filter: { ...before.filter, ...request.filter, ...(history === false && { history }) } };
}

async function remove({ database }: Core, id: string, { yes }: { yes?: true }): Promise<void> {
  const route = await routeOf(database, id);
  await confirm(`This deletes the route ${describeFilter(route.filter)} to ${route.destination_id}.`, {
    ...(yes && { yes }),
  });
  await deleteRoute(database, id);
  tell(`${green("✓")} ${id} is deleted`);
}

interface PreviewFlags extends RouteFlags, Json {
  since: string;
  until?: string;
  limit: string;
  whole?: true;
}

/** Samples that a terminal shows, and how much of each, without --whole. */
const SAMPLES_SHOWN = 3;
const SAMPLE_CHARACTERS = 300;

async function preview({ database }: Core, id: string | undefined, flags: PreviewFlags): Promise<void> {
  const definition = id === undefined ? readRoute(flags) : { ...(await routeOf(database, id)), ...readRoute(flags) };
  const { filter = {}, match = null, form = "event", transform = null } = definition;
  await using transforms = openTransforms({});
  const result = await previewRoute(
    database,
    transforms,
    { filter, match, form, transform },
    {
      since: readInstant(flags.since, "--since"),
      until: flags.until === undefined ? new Date() : readInstant(flags.until, "--until"),
      limit: Number(flags.limit),
    },
  );
  if (flags.json) return sayJson(result);
  const { examined, matched, failed, truncated } = result;
  const fails = failed === 0 ? green("none fails") : red(`${failed} fail`);
  say(`${bold(`${matched} of ${examined} events match`)}, ${fails}${truncated ? yellow(" (there are more)") : ""}`);
  const shown = flags.whole ? result.samples : result.samples.slice(0, SAMPLES_SHOWN);
  for (const { event_id, type, occurred_at, body, error } of shown) {
    const sent = flags.whole ? body : beginning(body ?? "");
    say(`\n${cyan(type)} ${dim(`${event_id} ${ago(occurred_at)}`)}\n${error === null ? sent : red(error)}`);
  }
  if (!flags.whole && result.samples.length > 0) tell(dim("\nmore samples, with whole bodies: --whole, or --json"));
}

const beginning = (text: string): string =>
  text.length <= SAMPLE_CHARACTERS
    ? text
    : `${text.slice(0, SAMPLE_CHARACTERS)} ${dim(`… ${text.length - SAMPLE_CHARACTERS} more characters`)}`;

async function routePast(
  { database }: Core,
  id: string,
  flags: JobFlags & { since: string; until?: string },
): Promise<void> {
  const { from = new Date(0), ...range } = readRange(flags);
  const route = await routeOf(database, id);
  const ask = (dry_run: boolean) =>
    createRoutePast(database, { route_id: id, from, ...range, reason: flags.reason ?? "", dry_run });
  const what = (count: number) =>
    `This reads ${count} past events and sends those that ${route.destination_id} has not received.`;
  await runJob(database, ask, what, flags);
}
