/** The shapes of /v1/status and of the probes. */
import { z } from "zod";
import { EXAMPLES } from "./examples.ts";
import { told } from "./shapes.ts";

export const Status = z
  .object({
    version: told(z.string(), "Tartan's version in this process."),
    node: told(z.string(), "Node's version."),
    schema_version: told(z.number().int(), "The number of the newest migration in the database."),
    roles: told(z.array(z.string()), "What this process does."),
    uptime_seconds: told(z.number().int(), "Since this process started."),
    queue: told(
      z.object({
        due: told(z.number().int(), "Subjects that a worker could take now."),
        running: told(z.number().int(), "Subjects that a worker holds."),
        oldest_due_seconds: told(z.number(), "How long the first of those that are due has waited; 0 when none is."),
        subjects: told(z.record(z.string(), z.number().int()), "Subjects by status."),
      }),
      "The sync queue, of all processes together.",
    ),
  })
  .meta({ description: "How things stand.", examples: [EXAMPLES.status] });

export const Alive = z.object({ status: z.literal("ok") }).meta({
  description: "The process answers.",
  examples: [{ status: "ok" }],
});

export const Ready = z
  .object({
    status: z.enum(["ready", "not_ready"]),
    reasons: told(z.array(z.string()), "What is missing; empty when ready."),
  })
  .meta({ description: "Whether the process can do its work.", examples: [{ status: "ready", reasons: [] }] });

export const NotReady = Ready.meta({
  description: "What is missing.",
  examples: [{ status: "not_ready", reasons: ["Postgres cannot be reached"] }],
});

export const Metrics = z.string().meta({
  description: "Metrics in the text format of Prometheus.",
  examples: [
    "# HELP tartan_subjects_due Subjects that wait for a run\n# TYPE tartan_subjects_due gauge\ntartan_subjects_due 3\n",
  ],
});
