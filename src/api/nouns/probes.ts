/**
 * Probes: is the process alive (livez), can it do its work (readyz), and its metrics. They need no API key, contain no data
 * of users, and write nothing into the log.
 */
import { setTimeout as delay } from "node:timers/promises";
import { collectDefaultMetrics } from "prom-client";
import { z } from "zod";
import { warningsOf } from "../../database/pool.ts";
import { DEADLINE_MS, openReadiness } from "../../database/readiness.ts";
import type { Database } from "../../database/types.ts";
import { describeError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { Intake } from "../../model/intake.ts";
import { metrics, registry } from "../../metrics.ts";
import { described } from "../../model/schema.ts";
import { spoolOf, takesArrivals } from "../../model/spool.ts";
import { dueDepth } from "../../sync/depth.ts";
import { addHeaders } from "../http/answers.ts";
import { openly, type Api } from "../http/operation.ts";
import { shownSpool, spoolShape } from "./spool.ts";

interface ProbeDeps {
  roles: { receiver: boolean };
  database: Database;
  intake: Pick<Intake, "problem">;
  logger: Logger;
}

/** Kubernetes waits a second for a probe. A receiver that can spool must answer by then, also while Postgres does not. */
const SPOOLING_DEADLINE_MS = 600;
/** The gauges of the queue are left out of an answer when Postgres takes longer: Prometheus waits 10 s. */
const QUEUE_DEADLINE_MS = 2_000;

export function probes(app: Api, { roles, database, intake, logger }: ProbeDeps): void {
  // The registry belongs to the process, which may have several servers, as in tests.
  if (!registry.getSingleMetric("process_cpu_seconds_total")) collectDefaultMetrics({ register: registry });
  const readiness = openReadiness(database);
  const warnings = () => warningsOf(database);
  const readQueue = queueGauges(database, logger);
  app.addHook("onRequest", async (request, reply) => addHeaders(request, reply));

  app.get("/livez", { schema: LIVEZ }, async () => ({ status: "ok" as const }));

  app.get("/readyz", { schema: READYZ }, async (_request, reply) => {
    const spool = spoolOf(intake);
    const isOpen = roles.receiver && spool !== null && takesArrivals(spool);
    const fault = await readiness(isOpen ? SPOOLING_DEADLINE_MS : DEADLINE_MS);
    const faults = [fault?.reason ?? null, intake.problem()].filter((reason) => reason !== null);
    // A load balancer must not take out a receiver that still acknowledges webhooks.
    const isReady = faults.length === 0 || (isOpen && fault?.away !== false && intake.problem() === null);
    const [reasons, degraded] = isReady ? [[], faults] : [faults, []];
    const body = { reasons, degraded, warnings: warnings(), spool: shownSpool(spool) };
    if (isReady) return { status: "ready" as const, ...body };
    return reply.code(503).send({ status: "not_ready" as const, ...body });
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
      const { unmarked, due, oldest_due_seconds } = await inTime(dueDepth(database), QUEUE_DEADLINE_MS);
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

/** @throws Error when it takes longer */
async function inTime<T>(answer: Promise<T>, ms: number): Promise<T> {
  const over = new AbortController();
  const late = delay(ms, undefined, { signal: over.signal }).then(() => {
    throw new Error(`Postgres did not answer within ${ms / 1000} s`);
  });
  late.catch(() => undefined);
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, late]);
  } finally {
    over.abort();
  }
}

const Alive = z.object({ status: z.literal("ok") }).meta({
  description: "The process answers.",
  examples: [{ status: "ok" }],
});

const Ready = z
  .object({
    status: z.enum(["ready", "not_ready"]),
    reasons: described(z.array(z.string()), "Why it is not ready; empty when it is."),
    degraded: described(
      z.array(z.string()),
      "What does not work although the process is ready: Postgres is away, and its spool accepts webhooks.",
    ),
    warnings: described(z.array(z.string()), "Unsafe settings of Postgres, such as fsync; empty if there are none."),
    spool: spoolShape.nullable(),
  })
  .meta({
    description: "Whether the process can do its work.",
    examples: [{ status: "ready", reasons: [], degraded: [], warnings: [], spool: null }],
  });

const NotReady = Ready.meta({
  description: "What is missing.",
  examples: [
    {
      status: "not_ready",
      reasons: ["Postgres stores nothing: it did not answer within 3 s"],
      degraded: [],
      warnings: [],
      spool: null,
    },
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
      "Whether Tartan can acknowledge a webhook now: Postgres answers in time, accepts a write, and has the right schema; or Postgres is " +
      "away and the spool of this receiver takes webhooks, then `degraded` says so. Send the process no traffic while this is 503.",
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
