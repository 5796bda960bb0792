/** `tartan routes …`: which events go where, and in what form. */
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
import { confirm } from "../confirm.ts";
import { withCore, type Core } from "../core.ts";
import { wholeNumber } from "../flags.ts";
import { readInstant, readRange } from "../instants.ts";
import { runJob, type JobFlags } from "../jobs.ts";
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
} from "../print.ts";
import { addRouteOptions, describeFilter, readRoute, type RouteFlags } from "../route-flags.ts";

interface Json {
  json?: true;
}

export function routesCommand(): Command {
  const routes = new Command("routes").description("which events go to which destination, and in what form");
  addRouteOptions(routes.command("create <destination>").description("send a destination more"))
    .option("--name <name>", "a name for people")
    .option("--json", "print JSON")
    .action(withCore(create));
  routes
    .command("list")
    .description("list the routes")
    .option("--destination <id>")
    .option("--json", "print JSON")
    .action(withCore(list));
  routes.command("show <id>").description("show one route").option("--json", "print JSON").action(withCore(show));
  addRouteOptions(routes.command("update <id>").description("change a route; what is not mentioned stays"))
    .option("--no-match", "without a matcher")
    .option("--no-history", "without events of an item's first reading")
    .option("--name <name>", "a name for people")
    .option("--enable", "take events again")
    .option("--disable", "take none until it is enabled")
    .option("--json", "print JSON")
    .action(withCore(update));
  routes
    .command("delete <id>")
    .description("delete a route; what it has taken is still delivered")
    .option("--yes", "do not ask")
    .action(withCore(remove));
  addRouteOptions(routes.command("preview [id]").description("try a route, or changes to one, on what has happened"))
    .option("--since <while>", "such as 30m, 24h, 7d, or a date", "24h")
    .option("--until <while>", "the same (default: now)")
    .option("--limit <count>", "read so many events at most", wholeNumber(1, 5000), "1000")
    .option("--whole", "print the first 4 kB of each body, not only its beginning")
    .option("--json", "print JSON")
    .action(withCore(preview));
  routes
    .command("route-past <id>")
    .description("send past events through a route; what its destination has had is not sent again")
    .requiredOption("--since <while>", "such as 24h, 7d, or a date")
    .option("--until <while>", "the same (default: now)")
    .option("--reason <text>", "why, for the record")
    .option("--yes", "do not ask")
    .option("--dry-run", "only count")
    .option("--follow", "wait until it is done")
    .option("--json", "print JSON")
    .action(withCore(routePast));
  return routes;
}

async function create(
  { database }: Core,
  destination: string,
  flags: RouteFlags & Json & { name?: string },
): Promise<void> {
  const wish = { destination_id: destination, ...(flags.name && { name: flags.name }), ...readRoute(flags) };
  const made = await createRoute(database, wish);
  if (flags.json) return sayJson(made);
  say(`${green("✓")} ${bold(describeFilter(made.filter))} goes to ${made.destination_id}`);
  sayFacts({ id: made.id, form: made.form });
  tell(dim(`events that were before it: npx tartan routes route-past ${made.id} --since 24h`));
}

async function list({ database }: Core, { destination, json }: Json & { destination?: string }): Promise<void> {
  const routes = await listRoutes(database, { destination_id: destination });
  if (json) return sayJsonList(routes);
  sayTable(
    routes,
    {
      id: ({ id }) => id,
      name: ({ name }) => bold(name),
      takes: ({ filter, match }) => describeFilter(filter) + (match ? dim(" + match") : ""),
      form: ({ form }) => form,
      destination: ({ destination_id }) => destination_id,
      status: ({ enabled }) => state(enabled ? "enabled" : "disabled"),
    },
    "No route yet: npx tartan destinations create https://…",
  );
}

async function show({ database }: Core, id: string, { json }: Json): Promise<void> {
  const route = await routeOf(database, id);
  if (json) return sayJson(route);
  sayFacts({
    id,
    name: route.name && bold(route.name),
    destination: route.destination_id,
    takes: describeFilter(route.filter),
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
  say(`${green("✓")} ${id} takes ${bold(describeFilter(changed.filter))}`);
}

/** The lists of a filter are replaced one by one; what is not mentioned stays. */
function changesTo(before: RouteState, { history, ...flags }: UpdateFlags): RouteChange {
  const wish = readRoute({ ...flags, ...(history === true && { history }) });
  return { ...wish, filter: { ...before.filter, ...wish.filter, ...(history === false && { history }) } };
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
  say(`of ${examined} events ${bold(`${matched} match`)}, ${fails}${truncated ? yellow(" (there are more)") : ""}`);
  const shown = flags.whole ? result.samples : result.samples.slice(0, SAMPLES_SHOWN);
  for (const { event_id, type, occurred_at, body, error } of shown) {
    const sent = flags.whole ? body : beginning(body ?? "");
    say(`\n${cyan(type)} ${dim(`${event_id} ${ago(occurred_at)}`)}\n${error === null ? sent : red(error)}`);
  }
  if (!flags.whole && result.samples.length > 0) tell(dim("\nwhole bodies of more samples: --whole, or --json"));
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
    `${count} past events are looked at, and those which ${route.destination_id} has not had are sent.`;
  await runJob(database, ask, what, flags);
}
