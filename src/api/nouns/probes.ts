/**
 * Probes: is the process alive (livez), can it do its work (readyz), and its metrics. They need no API key, contain no data
 * of users, and write nothing into the log.
 */
import { collectDefaultMetrics } from "prom-client";
import { z } from "zod";
import { factsOf } from "../../database/pool.ts";
import { openReadiness } from "../../database/readiness.ts";
import type { Database } from "../../database/types.ts";
import { describeError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { Intake } from "../../model/intake.ts";
import { metrics, registry } from "../../metrics.ts";
import { described } from "../../model/schema.ts";
import { dueDepth } from "../../sync/queries.ts";
import { addHeaders } from "../http/answers.ts";
import { openly, type Api } from "../http/operation.ts";

interface ProbeDeps {
  database: Database;
  intake: Pick<Intake, "problem">;
  logger: Logger;
}

export function probes(app: Api, { database, intake, logger }: ProbeDeps): void {
  // The registry belongs to the process, which may have several servers, as in tests.
  if (!registry.getSingleMetric("process_cpu_seconds_total")) collectDefaultMetrics({ register: registry });
  const readiness = openReadiness(database);
  const warnings = factsOf(database).warnings;
  const readQueue = queueGauges(database, logger);
  app.addHook("onRequest", async (request, reply) => addHeaders(request, reply));

  app.get("/livez", { schema: LIVEZ }, async () => ({ status: "ok" as const }));

  app.get("/readyz", { schema: READYZ }, async (_request, reply) => {
    const reasons = [await readiness(), intake.problem()].filter((reason) => reason !== null);
    if (reasons.length === 0) return { status: "ready" as const, reasons, warnings };
    return reply.code(503).send({ status: "not_ready" as const, reasons, warnings });
  });

  app.get("/metrics", { schema: METRICS }, async (_request, reply) => {
    await readQueue();
    return reply
      .type(registry.contentType)
      .serializer(String)
      .send(await registry.metrics());
  });
}

/**
 * Reads the depth of the queue into its gauges. Simultaneous scrapes share one query. Without Postgres these
 * gauges are NaN, since 0 would be wrong, and the answer holds the other metrics.
 */
function queueGauges(database: Database, logger: Logger): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    try {
      const { unmarked, due, oldest_due_seconds } = await dueDepth(database);
      metrics.webhooksUnmarked.set(unmarked);
      metrics.subjectsDue.set(due);
      metrics.oldestDueSeconds.set(oldest_due_seconds);
    } catch (error) {
      metrics.webhooksUnmarked.set(Number.NaN);
      metrics.subjectsDue.set(Number.NaN);
      metrics.oldestDueSeconds.set(Number.NaN);
      logger.debug({ error: describeError(error) }, "the queue could not be read for /metrics");
    } finally {
      underWay = undefined;
    }
  };
  return () => (underWay ??= read());
}

const Alive = z.object({ status: z.literal("ok") }).meta({
  description: "The process answers.",
  examples: [{ status: "ok" }],
});

const Ready = z
  .object({
    status: z.enum(["ready", "not_ready"]),
    reasons: described(z.array(z.string()), "Why it is not ready; empty when it is."),
    warnings: described(z.array(z.string()), "Unsafe settings of Postgres, such as fsync; empty if there are none."),
  })
  .meta({
    description: "Whether the process can do its work.",
    examples: [{ status: "ready", reasons: [], warnings: [] }],
  });

const NotReady = Ready.meta({
  description: "What is missing.",
  examples: [
    { status: "not_ready", reasons: ["nothing can be stored: Postgres did not answer within 3 s"], warnings: [] },
  ],
});

const Metrics = z.string().meta({
  description: "Metrics in the text format of Prometheus.",
  examples: [
    "# HELP tartan_subjects_due Subjects that wait for a run\n# TYPE tartan_subjects_due gauge\ntartan_subjects_due 3\n",
  ],
});

const LIVEZ = {
  ...openly({
    operationId: "livez",
    summary: "Is it alive?",
    description: "Answers while the process works; restart it when this fails. It sends no query to Postgres.",
  }),
  response: { 200: Alive },
};

const READYZ = {
  ...openly({
    operationId: "readyz",
    summary: "Can it work?",
    description:
      "Whether Tartan can store a webhook now: Postgres answers in time, accepts a write, and has the right schema. Send the " +
      "process no traffic while this is 503.",
  }),
  response: { 200: Ready, 503: NotReady },
};

const METRICS = {
  ...openly({
    operationId: "metrics",
    summary: "Metrics",
    description: "For Prometheus. Labels are bounded and name no Item, user or payload.",
  }),
  produces: ["text/plain"],
  response: { 200: Metrics },
};
