/**
 * What is deleted because of its age, and what is finished that an end of a process left unfinished: the steps of the janitor.
 *
 * Every process runs them when its roles start, and then every hour.
 */
import { trimAudit } from "../../audit/audit.ts";
import { cancellable } from "../../database/cancellable.ts";
import { allIntegrations } from "../../integrations/unfinished.ts";
import { finishIntegrations } from "../../lifecycle/unfinished.ts";
import { pruneLinks } from "../../linking/forget.ts";
import { pruneFleet } from "../../fleet/retention.ts";
import { pruneCalls } from "../../plaid/calls.ts";
import { expireUnproven } from "../../quarantine/expire.ts";
import { relayNeeds } from "../../relay/needs.ts";
import { forget } from "../../relay/retention.ts";
import { pruneRemoved } from "../../mirror/prune.ts";
import { pruneRuns, pruneSubjects } from "../../sync/prune.ts";
import { pruneSent } from "../../silence/forget.ts";
import type { JanitorOptions } from "../../journal/janitor.ts";
import { systemClock } from "../../clock.ts";
import type { Core } from "./core.ts";

const UNPROVEN_DAYS = 3;

/** Everything that is deleted because of its age, in rounds that compare the clocks first. */
export function janitorOptions({
  database,
  logger,
  config,
}: Pick<Core, "database" | "logger" | "config">): JanitorOptions {
  const { removedRowsRetentionDays: days, eventRetentionDays: retentionDays, auditRetentionDays: auditDays } = config;
  const more: JanitorOptions["more"] = {
    "delete old events and finished deliveries": (signal) => forget({ database, retentionDays }, signal),
    ...(auditDays > 0 && {
      "delete old rows of the audit log": (signal?: AbortSignal) =>
        trimAudit(cancellable(database, signal), auditDays, signal),
    }),
    "delete old counts of requests to Plaid": async (signal) =>
      await pruneCalls(cancellable(database, signal), await allIntegrations(database), signal),
    "delete old jobs about items": (signal) => pruneFleet(cancellable(database, signal), signal),
    "delete what Plaid sent long ago": (signal) => pruneSent(cancellable(database, signal), signal),
    // Also what waits from before the quarantine was switched off.
    "expire unproven webhooks": (signal) =>
      expireUnproven({ database, logger, days: config.quarantineDays || UNPROVEN_DAYS }, signal),
    "delete old runs": (signal) => pruneRuns(cancellable(database, signal), signal),
    "delete old Link tokens and public tokens": (signal) => pruneLinks(cancellable(database, signal), signal),
    "delete subjects that nobody linked": (signal) => pruneSubjects(cancellable(database, signal), signal),
    ...(days > 0 && {
      "delete rows that Plaid removed": (signal?: AbortSignal) =>
        pruneRemoved(cancellable(database, signal), days, signal),
    }),
  };
  const always = {
    "finish changes of integrations": (signal?: AbortSignal) => finishIntegrations(database, signal),
  };
  const { journalRetentionDays, journalBodyRetentionDays: bodyRetentionDays } = config;
  const neededBy = [relayNeeds];
  const ages = { retentionDays: journalRetentionDays, bodyRetentionDays };
  return { database, logger, clock: systemClock, ...ages, neededBy, always, more };
}
