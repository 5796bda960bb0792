/** The shapes of /v1/status and of the probes. */
import { z } from "zod";
import { EXAMPLES } from "../examples.ts";
import { noTimestamp, timestamp, told } from "../../http/shapes.ts";

const count = (description: string) => told(z.number().int(), description);

const unwell = z.object({
  id: told(z.string(), "Id of a destination."),
  name: told(z.string(), "Its name."),
  status: told(z.enum(["active", "paused", "disabled"]), "Active: its failures hold it."),
  disabled_reason: told(z.string().nullable(), "Why it is disabled."),
  breaker: told(z.enum(["closed", "open", "half_open"]), "Open: nothing is sent until hold_until."),
  hold_until: noTimestamp("Nothing is sent until then."),
  failing_since: noTimestamp("The first failure after the last success."),
  since: noTimestamp("Since when it is so."),
});

const relay = told(
  z.object({
    undispatched: count("Commits whose events have no deliveries yet."),
    oldest_undispatched_seconds: told(z.number(), "How long the first of them has waited; 0 when there is none."),
    scheduled: count("Deliveries that wait for their time or their turn; counted up to 10001."),
    held: count("Deliveries that wait for a destination that is paused, disabled or open."),
    dead: count("Deliveries that gave up."),
    overdue: told(
      z.object({
        outbox: count("Commits that should have been dispatched by now."),
        deliveries: count("Deliveries that should have been attempted by now."),
        oldest_at: noTimestamp("Since when the oldest of them waits."),
      }),
      "What waits longer than it should, which nothing ever should.",
    ),
    destinations: told(
      z.object({
        active: count("Destinations that are neither paused nor disabled."),
        paused: count("Paused ones."),
        disabled: count("Disabled ones."),
        open: count("Active ones that fail so often that nothing is sent for a while."),
      }),
      "How many there are.",
    ),
    unwell: told(z.array(unwell), "Destinations that are sent nothing just now; a hundred at most, the longest first."),
  }),
  "The relay, of all processes together.",
);

const process = z.object({
  id: told(z.string(), "Id of the process; a new one at each start."),
  host: told(z.string(), "The name of its host or container."),
  pid: told(z.number().int(), "Its process id there."),
  version: told(z.string(), "Its version of Tartan."),
  roles: told(z.array(z.string()), "What it does."),
  url: told(z.string(), "Where it listens."),
  started_at: timestamp("When it started."),
});

const journal = told(
  z.object({
    kept_weeks: told(
      z.array(
        z.object({
          week: told(z.string(), "Its Monday, such as 2026-11-16."),
          needed_for: told(
            z.enum(["unprocessed", "undispatched", "undelivered"]),
            "What still needs its webhooks: a sync run, the relay's dispatch, or deliveries that are scheduled or dead letters.",
          ),
        }),
      ),
      "Weeks of webhooks that are older than webhooks are kept and are kept all the same, the oldest first.",
    ),
    clock_skew_seconds: told(z.number(), "How far the database's clock is ahead of this process's; negative: behind."),
    suspended: told(
      z.string().nullable(),
      "Why nothing is forgotten just now, and what to do; null while retention works.",
    ),
  }),
  "Retention of webhooks.",
);

export const Status = z
  .object({
    version: told(z.string(), "Tartan's version in this process."),
    node: told(z.string(), "Node's version."),
    schema_version: told(z.number().int(), "The number of the newest migration in the database."),
    warnings: told(z.array(z.string()), "What is not set up safely in Postgres, such as fsync; empty when nothing is."),
    roles: told(z.array(z.string()), "What this process does."),
    uptime_seconds: told(z.number().int(), "Since this process started."),
    queue: told(
      z.object({
        unmarked: told(z.number().int(), "Webhooks that were accepted and that sync has not looked at yet."),
        due: told(z.number().int(), "Subjects that a worker could take now."),
        running: told(z.number().int(), "Subjects that a worker holds."),
        oldest_due_seconds: told(
          z.number(),
          "How long the first of these webhooks and of the subjects that are due has waited; 0 when none does.",
        ),
        subjects: told(z.record(z.string(), z.number().int()), "Subjects by status."),
      }),
      "The sync queue, of all processes together.",
    ),
    relay,
    journal,
    processes: told(z.array(process), "The Tartan processes that work on this database, the newest first."),
  })
  .meta({ description: "How things stand.", examples: [EXAMPLES.status] });

export const Alive = z.object({ status: z.literal("ok") }).meta({
  description: "The process answers.",
  examples: [{ status: "ok" }],
});

export const Ready = z
  .object({
    status: z.enum(["ready", "not_ready"]),
    reasons: told(z.array(z.string()), "Why it is not ready; empty when it is."),
    warnings: told(z.array(z.string()), "What is not set up safely in Postgres, such as fsync; empty when nothing is."),
  })
  .meta({
    description: "Whether the process can do its work.",
    examples: [{ status: "ready", reasons: [], warnings: [] }],
  });

export const NotReady = Ready.meta({
  description: "What is missing.",
  examples: [
    { status: "not_ready", reasons: ["nothing can be stored: Postgres did not answer within 3 s"], warnings: [] },
  ],
});

export const Metrics = z.string().meta({
  description: "Metrics in the text format of Prometheus.",
  examples: [
    "# HELP tartan_subjects_due Subjects that wait for a run\n# TYPE tartan_subjects_due gauge\ntartan_subjects_due 3\n",
  ],
});
