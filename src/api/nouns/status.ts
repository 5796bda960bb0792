/** /v1/status: what waits, what fails, and which processes run. */
import { z } from "zod";
import { factsOf } from "../../database/pool.ts";
import { listProcesses } from "../../database/processes.ts";
import { schemaState } from "../../database/schema.ts";
import type { Database } from "../../database/types.ts";
import { quarantineState } from "../../journal/quarantine.ts";
import { retentionState } from "../../journal/retention.ts";
import { noTimestamp, timestamp, described } from "../../model/schema.ts";
import { spoolOf } from "../../model/spool.ts";
import { BREAKER_STATES, DESTINATION_STATUSES, WEEK_NEEDS } from "../../model/statuses.ts";
import { destinationsStatus } from "../../relay/destinations/status.ts";
import { findOverdue, relayDepth } from "../../relay/ledger/overdue.ts";
import { CAUSES } from "../../silence/causes.ts";
import { silenceState } from "../../silence/stopped.ts";
import { queueDepth } from "../../sync/depth.ts";
import { VERSION } from "../../version.ts";
import { INTEGRATION_ID } from "../../model/examples.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { shownSpool, spoolShape } from "./spool.ts";
import { quarantineExample, quarantineShape } from "./unproven-webhooks.ts";

export function statusOperations(api: Api, { database, roles, clock, intake }: ApiDeps): void {
  api.get("/v1/status", { schema: STATUS }, async () => {
    const [{ version: schema_version }, queue, relay, processes, journal, quarantine, silence] = await Promise.all([
      schemaState(database),
      queueDepth(database),
      relayState(database),
      listProcesses(database),
      retentionState(database, clock),
      quarantineState(database),
      silenceState(database),
    ]);
    const { by_status, by_status_at, ...depth } = queue;
    return {
      version: VERSION,
      node: process.version,
      schema_version,
      warnings: factsOf(database).warnings,
      roles: (["receiver", "sync", "relay", "api"] as const).filter((role) => roles[role]),
      uptime_seconds: Math.floor(process.uptime()),
      queue: { ...depth, subjects: by_status, subjects_at: by_status_at.toISOString() },
      relay,
      journal,
      quarantine,
      silence,
      spool: shownSpool(spoolOf(intake)),
      processes: processes.map((each) => ({ ...each, started_at: each.started_at.toISOString() })),
    };
  });
}

async function relayState(database: Database) {
  const [depth, { oldest_at, ...overdue }, { unhealthy, ...destinations }] = await Promise.all([
    relayDepth(database),
    findOverdue(database),
    destinationsStatus(database),
  ]);
  return { ...depth, overdue: { ...overdue, oldest_at: oldest_at?.toISOString() ?? null }, destinations, unhealthy };
}

const example = {
  version: "0.1.0",
  node: "v20.20.2",
  schema_version: 8,
  warnings: [],
  roles: ["receiver", "sync", "relay", "api"],
  uptime_seconds: 86_400,
  queue: {
    unmarked: 0,
    due: 3,
    running: 8,
    oldest_due_seconds: 0.4,
    subjects: { ok: 1284, needs_user: 17, retrying: 2 },
    subjects_at: "2026-11-22T09:30:00.000Z",
  },
  relay: {
    undispatched: 0,
    oldest_undispatched_seconds: 0,
    scheduled: 12,
    held: 0,
    dead: 3,
    overdue: { outbox: 0, deliveries: 0, oldest_at: null },
    destinations: { active: 2, paused: 0, disabled: 0, open: 0 },
    unhealthy: [],
  },
  journal: {
    kept_weeks: [],
    clock_skew_seconds: 0,
    suspended: null,
    pruned: { webhooks: 120_000, bytes: 87_400_000, given_back_bytes: 81_200_000 },
  },
  quarantine: quarantineExample,
  silence: {
    stopped: [
      {
        integration_id: INTEGRATION_ID,
        name: "Plaid production",
        stopped_at: "2026-11-20T16:05:00.000Z",
        silent_since: "2026-11-20T10:04:11.000Z",
        cause: "failing" as const,
        message: "Plaid got 503 from you at 2026-11-20T10:04:11Z.",
        next_step: "`npx tartan webhooks sent --status FAILED` lists what Plaid got.",
      },
    ],
    sent_lists: { available: 1, unavailable: 0, unknown: 0, failing: 0 },
  },
  spool: {
    state: "straight" as const,
    waiting: 0,
    bytes: 0,
    since: null,
    oldest: null,
    damaged: 0,
    problem: null,
  },
  processes: [
    {
      id: "0b6c1f0e-5f0a-4c55-9a39-6d1f6f3f0a11",
      host: "tartan-1",
      pid: 1,
      version: "0.1.0",
      roles: ["receiver", "sync", "relay", "api"],
      url: "http://127.0.0.1:4400",
      started_at: "2026-03-01T08:00:00.000Z",
    },
  ],
};

const count = (description: string) => described(z.number().int(), description);

const unhealthy = z.object({
  id: described(z.string(), "Id of a destination."),
  name: described(z.string(), "Its name."),
  status: described(z.enum(DESTINATION_STATUSES), "Active: its failures hold it."),
  disabled_reason: described(z.string().nullable(), "Why it is disabled."),
  breaker: described(z.enum(BREAKER_STATES), "Open: nothing is sent until hold_until."),
  hold_until: noTimestamp("Nothing is sent until then."),
  failing_since: noTimestamp("The first failure after the last success."),
  since: noTimestamp("Since when it is so."),
});

const relayShape = described(
  z.object({
    undispatched: count("Commits whose events have no deliveries yet."),
    oldest_undispatched_seconds: described(z.number(), "How long the oldest has waited; 0 if there is none."),
    scheduled: count("Deliveries that wait for their time or for one before them; counted up to 10001."),
    held: count("Deliveries that wait for a destination that is paused, disabled or open."),
    dead: count("Deliveries that gave up."),
    overdue: described(
      z.object({
        outbox: count("Commits that should have been dispatched by now."),
        deliveries: count("Deliveries that should have been attempted by now."),
        oldest_at: noTimestamp("Since when the oldest of them waits."),
      }),
      "What waits longer than it should; normally nothing.",
    ),
    destinations: described(
      z.object({
        active: count("Destinations that are neither paused nor disabled."),
        paused: count("Paused ones."),
        disabled: count("Disabled ones."),
        open: count("Active ones that fail so often that Tartan sends nothing for a while."),
      }),
      "How many there are.",
    ),
    unhealthy: described(
      z.array(unhealthy),
      "Destinations that receive nothing at present; at most a hundred, the longest first.",
    ),
  }),
  "The relay, of all processes together.",
);

const processShape = z.object({
  id: described(z.string(), "Id of the process; a new one at each start."),
  host: described(z.string(), "The name of its host or container."),
  pid: described(z.number().int(), "Its process id there."),
  version: described(z.string(), "Its version of Tartan."),
  roles: described(z.array(z.string()), "What it does."),
  url: described(z.string(), "Where it listens."),
  started_at: timestamp("When it started."),
});

const journalShape = described(
  z.object({
    kept_weeks: described(
      z.array(
        z.object({
          week: described(z.string(), "Its Monday, such as 2026-11-16."),
          needed_for: described(
            z.enum(WEEK_NEEDS),
            "What still needs its webhooks: a sync run, the relay's dispatch, or deliveries that are scheduled or dead letters.",
          ),
        }),
      ),
      "Weeks of webhooks that are past the retention time and still needed, the oldest first.",
    ),
    clock_skew_seconds: described(
      z.number(),
      "How far the database's clock is ahead of this process's; negative: behind.",
    ),
    suspended: described(
      z.string().nullable(),
      "Why retention deletes nothing at present, and what to do; null while retention works.",
    ),
    pruned: described(
      z.object({
        webhooks: described(z.number().int(), "How many have lost their bodies."),
        bytes: described(z.number().int(), "Of these bodies and their JWTs."),
        given_back_bytes: described(
          z.number().int(),
          "By which the journal became smaller when its old weeks were rewritten.",
        ),
      }),
      "Webhooks whose bodies are older than TARTAN_JOURNAL_BODY_RETENTION_DAYS, in the weeks that are kept.",
    ),
  }),
  "Retention of webhooks.",
);

const stoppedShape = z.object({
  integration_id: described(z.string(), "Id of an integration."),
  name: described(z.string(), "Its name."),
  stopped_at: noTimestamp("When the alarm was raised; null while it is only Plaid that does not answer."),
  silent_since: noTimestamp("When the last webhook of Plaid came."),
  cause: described(z.enum(CAUSES), "Why; stable."),
  message: described(z.string(), "Why, in plain words."),
  next_step: described(z.string(), "What to do about it."),
});

const silenceShape = described(
  z.object({
    stopped: described(
      z.array(stoppedShape),
      "Integrations for which Plaid's webhooks no longer come; at most a hundred, the longest first.",
    ),
    sent_lists: described(
      z.object({
        available: count("Integrations whose webhooks Plaid lists."),
        unavailable: count("Those to whose client Plaid has not opened the list; they are asked about once a day."),
        unknown: count("Those for which Tartan has not asked yet."),
        failing: count("Those whose list could not be read the last time."),
      }),
      "Plaid's lists of the webhooks that it sent.",
    ),
  }),
  "What Plaid should have said and did not.",
);

const Status = z
  .object({
    version: described(z.string(), "Tartan's version in this process."),
    node: described(z.string(), "Node's version."),
    schema_version: described(z.number().int(), "The number of the newest migration in the database."),
    warnings: described(z.array(z.string()), "Unsafe settings of Postgres, such as fsync; empty if there are none."),
    roles: described(z.array(z.string()), "What this process does."),
    uptime_seconds: described(z.number().int(), "Since this process started."),
    queue: described(
      z.object({
        unmarked: described(z.number().int(), "Accepted webhooks that sync has not examined yet."),
        due: described(z.number().int(), "Subjects that a worker could take now; counted up to 50001."),
        running: described(z.number().int(), "Subjects that a worker holds."),
        oldest_due_seconds: described(
          z.number(),
          "How long the oldest of these webhooks and of the due subjects has waited; 0 if none waits.",
        ),
        subjects: described(z.record(z.string(), z.number().int()), "Subjects by status."),
        subjects_at: timestamp("When they were counted; with more than 50,000 it may be up to a minute ago."),
      }),
      "The sync queue, of all processes together.",
    ),
    relay: relayShape,
    journal: journalShape,
    quarantine: quarantineShape,
    silence: silenceShape,
    spool: spoolShape.nullable(),
    processes: described(z.array(processShape), "The Tartan processes on this database, the newest first."),
  })
  .meta({ description: "How things stand.", examples: [example] });

const STATUS = {
  ...about("Operation", {
    operationId: "getStatus",
    summary: "Show the status",
    description:
      "What waits in the sync queue and in the relay, what waits longer than it should, which destinations receive nothing " +
      "just now, and what this process is.",
  }),
  response: { 200: Status, ...refusals() },
};
