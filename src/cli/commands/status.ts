/** `tartan status`: what waits and what fails. */
import { Command } from "commander";
import { listProcesses, type TartanProcess } from "../../database/processes.ts";
import { systemClock } from "../../clock.ts";
import { loadConfig, readTartanEnvironment } from "../../config.ts";
import { TartanError } from "../../errors.ts";
import { listIntegrations } from "../../integrations/integrations.ts";
import { quarantineState, type QuarantineState } from "../../journal/quarantine.ts";
import { retentionState, type RetentionState } from "../../journal/retention.ts";
import {
  destinationsStatus,
  type DestinationsStatus,
  type UnhealthyDestination,
} from "../../relay/destinations/status.ts";
import { findOverdue, relayDepth, type Overdue, type RelayDepth } from "../../relay/ledger/overdue.ts";
import { silenceState, type SentListCounts, type StoppedIntegration } from "../../silence/stopped.ts";
import { queueDepth } from "../../sync/depth.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { askRunning, type RunningServer } from "../wiring/server-addresses.ts";
import { stateOf } from "../output/describe.ts";
import {
  ago,
  bold,
  deliveryCount,
  dim,
  green,
  plural,
  red,
  say,
  sayFacts,
  sayJson,
  sayTable,
  state,
  yellow,
} from "../output/print.ts";

export function statusCommand(): Command {
  return new Command("status")
    .description("show what waits and what fails")
    .option("--json", "print JSON")
    .action(async (flags: { json?: true }) => {
      try {
        await withCore(status)(flags);
      } catch (error) {
        if (!(error instanceof TartanError) || !WITHOUT_POSTGRES.has(error.code)) throw error;
        await statusWithoutPostgres(error, flags);
      }
    });
}

/** `data_dir_in_use`: a server owns the data directory, and its embedded Postgres does not run. */
const WITHOUT_POSTGRES = new Set(["database_unavailable", "data_dir_in_use"]);

/** Postgres has nearly all that `status` shows; the servers of this data directory say how they do without it. */
async function statusWithoutPostgres(error: TartanError, { json }: { json?: true }): Promise<void> {
  const servers = await askRunning(loadConfig(readTartanEnvironment(process.env).env).dataDir);
  if (servers.length === 0) throw error;
  process.exitCode = 1;
  const { code, message } = error;
  if (json) return sayJson({ error: { code, message }, processes: servers });
  say(red(`Postgres cannot be reached: ${message}`));
  for (const { url, roles, pid, ready } of servers) {
    say();
    sayFacts({
      process: `${url} ${dim(`${roles.join(", ")} (pid ${pid})`)}`,
      webhooks: describeIntake(ready),
      spool: describeSpool(ready.spool),
      missing: [...ready.reasons, ...ready.degraded].join("\n"),
    });
  }
}

const describeIntake = ({ status }: RunningServer["ready"]): string =>
  status === "ready" ? green("are accepted") : red("are refused with 503; Plaid sends them again for a day");

function describeSpool(spool: RunningServer["ready"]["spool"]): string | null {
  if (spool === null) return null;
  const { state: word, waiting, bytes, since, oldest, damaged, problem } = spool;
  const what = waiting === 0 ? green("nothing waits") : yellow(`${plural(waiting, "arrival")} waiting, ${mib(bytes)}`);
  const when = [since && `since ${ago(since)}`, oldest && `the oldest from ${ago(oldest)}`].filter(Boolean);
  const lines = [
    `${word}: ${[what, ...when].join(", ")}`,
    damaged > 0 && red(`${plural(damaged, "damaged place")}: see the folder spool/damaged of the data directory`),
    problem && red(problem),
  ];
  return lines.filter(Boolean).join("\n");
}

interface ServersSpool {
  url: string;
  spool: NonNullable<RunningServer["ready"]["spool"]>;
}

/** The spools of the servers of this data directory that answer. */
const spoolsOf = async (dataDir: string): Promise<ServersSpool[]> =>
  (await askRunning(dataDir)).flatMap(({ url, ready: { spool } }) => (spool === null ? [] : { url, spool }));

/** Null where webhooks go straight to Postgres. */
function describeSpools(spools: readonly ServersSpool[]): string | null {
  const some = spools.filter(({ spool: { state: word, damaged } }) => word !== "straight" || damaged > 0);
  return some.map(({ url, spool }) => `${dim(url)} ${describeSpool(spool)}`).join("\n") || null;
}

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;

async function status({ database, config }: Core, { json }: { json?: true }): Promise<void> {
  const depth = await queueDepth(database);
  const integrations = (await listIntegrations(database)).length;
  const relay = await relayDepth(database);
  const overdue = await findOverdue(database);
  const { unhealthy, ...destinations } = await destinationsStatus(database);
  const processes = await listProcesses(database);
  const journal = await retentionState(database, systemClock);
  const quarantine = await quarantineState(database);
  const silence = await silenceState(database);
  const spools = await spoolsOf(config.dataDir);
  if (json) {
    return sayJson({
      integrations,
      ...depth,
      relay: { ...relay, overdue, destinations, unhealthy },
      journal,
      quarantine,
      silence,
      spools,
      processes,
    });
  }
  sayFacts({
    processes: describeProcesses(processes),
    integrations: String(integrations),
    "not marked": depth.unmarked === 0 ? null : yellow(plural(depth.unmarked, "webhook")),
    due:
      depth.due === 0
        ? green("nothing waits")
        : yellow(`${plural(depth.due, "subject")}, the oldest for ${Math.round(depth.oldest_due_seconds)} s`),
    ...Object.fromEntries(
      Object.entries(depth.by_status).map(([status, count]) => [status, `${count} ${state(status)}`]),
    ),
    destinations: describeDestinations(destinations),
    deliveries: describeDeliveries(relay),
    overdue: describeOverdue(overdue),
    retention: describeRetention(journal),
    "pruned bodies": describePruned(journal),
    unproven: describeQuarantine(quarantine),
    spool: describeSpools(spools),
    "webhooks stopped": silence.stopped.map(describeStopped).join("\n"),
    "Plaid's lists": describeLists(silence.sent_lists),
  });
  if (unhealthy.length > 0) sayUnhealthy(unhealthy);
}

function describeProcesses(processes: readonly TartanProcess[]): string {
  if (processes.length === 0) return yellow("no process runs: start one with `npx tartan up`");
  return processes
    .map(({ host, pid, roles, url }) => `${url} ${dim(`${roles.join(", ")} (${host}, pid ${pid})`)}`)
    .join("\n");
}

function describeDestinations({ active, paused, disabled, open }: Omit<DestinationsStatus, "unhealthy">): string {
  const counts = { active, paused, disabled, open };
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.length === 0 ? dim("none") : some.map(([word, count]) => `${count} ${state(word)}`).join(", ");
}

function describeDeliveries({ scheduled, held, dead }: RelayDepth): string {
  const some = Object.entries({ scheduled, held, dead }).filter(([, count]) => count > 0);
  if (some.length === 0) return green("nothing waits");
  return some.map(([word, count]) => `${deliveryCount(count)} ${state(word)}`).join(", ");
}

/** The usual cause of overdue work is that no process has the role relay. */
function describeOverdue({ outbox, deliveries, oldest_at }: Overdue): string | null {
  if (outbox + deliveries === 0) return null;
  const what = [
    ...(outbox > 0 ? [`${deliveryCount(outbox)} not dispatched`] : []),
    ...(deliveries > 0 ? [`${deliveryCount(deliveries)} not sent`] : []),
  ];
  return red(`${what.join(", ")}, the oldest from ${ago(oldest_at)}; check that a process with the role relay runs`);
}

const NEEDED_FOR = {
  unprocessed: "no sync run has served them",
  undispatched: "the relay has not dispatched them; check that a process with the role relay runs",
  undelivered: "deliveries of them are scheduled or in the dead letters",
};

const MIB = 1024 * 1024;

/** Null where no body was pruned. */
function describePruned({ pruned: { webhooks, bytes, given_back_bytes } }: RetentionState): string | null {
  if (webhooks === 0) return null;
  const [gone, back] = [bytes, given_back_bytes].map((each) => `${Math.round(each / MIB)} MiB`);
  return `${plural(webhooks, "webhook")} without their bodies, which had ${gone}; ${back} are given back to the disk`;
}

function describeRetention({ suspended, kept_weeks: kept }: RetentionState): string | null {
  const [oldest] = kept;
  const weeks =
    oldest &&
    `${plural(kept.length, "old week")} of webhooks ${kept.length === 1 ? "is" : "are"} kept, from ${oldest.week}: ${NEEDED_FOR[oldest.needed_for]}`;
  const lines = [suspended && red(suspended), weeks && yellow(weeks)].filter(Boolean);
  return lines.length === 0 ? null : lines.join("\n");
}

/** Null where nothing waits. */
function describeQuarantine({ integrations }: QuarantineState): string | null {
  if (integrations.length === 0) return null;
  return integrations
    .map(({ integration_id, name, waiting, oldest_at, waits_for }) => {
      const what = `${plural(waiting, "webhook")} of ${name ?? integration_id}, the oldest from ${ago(oldest_at)}`;
      return yellow(`${what}: ${waits_for ?? "their keys are asked for now"}; npx tartan webhooks unproven`);
    })
    .join("\n");
}

function describeStopped({
  integration_id,
  name,
  silent_since,
  stopped_at,
  message,
  next_step,
}: StoppedIntegration): string {
  const what = `${name} (${integration_id}): no webhook of Plaid's since ${ago(silent_since)}. ${message}`;
  return `${stopped_at === null ? yellow(what) : red(what)} ${next_step}`;
}

/** Whether Plaid lists the webhooks that it sent. Null where Tartan has not asked. */
function describeLists({ available, unavailable, failing }: SentListCounts): string | null {
  const some = [
    ...(available > 0 ? [`open to ${plural(available, "integration")}: npx tartan webhooks sent`] : []),
    ...(unavailable > 0 ? [dim(`not open to ${plural(unavailable, "integration")}; asked once a day`)] : []),
    ...(failing > 0 ? [yellow(`could not be read for ${failing}`)] : []),
  ];
  return some.length === 0 ? null : some.join(", ");
}

function sayUnhealthy(unhealthy: readonly UnhealthyDestination[]): void {
  say();
  sayTable(
    unhealthy,
    {
      destination: ({ id, name }) => (name ? `${bold(name)} ${dim(id)}` : id),
      state: ({ status, breaker, disabled_reason }) =>
        `${state(stateOf(status, breaker))} ${dim(disabled_reason ?? "")}`,
      since: ({ since, failing_since }) => ago(since ?? failing_since),
      "held until": ({ hold_until }) => (hold_until ? ago(hold_until) : ""),
    },
    "",
  );
}
