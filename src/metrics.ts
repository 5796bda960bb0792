/**
 * Every metric Tartan exposes at /metrics, declared once. Labels are bounded: never an item, a user or a payload.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export const registry = new Registry();

const counter = (name: string, help: string, labelNames: string[] = []) =>
  new Counter({ name, help, labelNames, registers: [registry] });
const seconds = (name: string, help: string, buckets: number[], labelNames: string[] = []) =>
  new Histogram({ name, help, labelNames, buckets, registers: [registry] });
const gauge = (name: string, help: string, labelNames: string[] = []) =>
  new Gauge({ name, help, labelNames, registers: [registry] });

const FAST = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const SLOW = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export const metrics = {
  webhooksAccepted: counter("tartan_webhooks_accepted_total", "Webhooks journaled", ["source"]),
  webhooksDuplicate: counter("tartan_webhooks_duplicate_total", "Webhooks whose JWT had been accepted before"),
  webhooksRefused: counter("tartan_webhooks_refused_total", "Requests refused at the intake", ["reason"]),
  unproven: counter(
    "tartan_unproven_webhooks_total",
    "Webhooks whose key could not be fetched: kept in quarantine, turned_away for want of room, and later proven, refused, duplicate, forgotten or expired",
    ["outcome"],
  ),
  unprovenWaiting: gauge("tartan_unproven_waiting", "Unproven webhooks that wait in quarantine"),
  unprovenBytes: gauge("tartan_unproven_bytes", "Bytes of the bodies and JWTs of unproven webhooks"),
  unprovenOldestSeconds: gauge("tartan_unproven_oldest_seconds", "Age of the oldest unproven webhook; 0: none waits"),
  logins: counter("tartan_logins_total", "Logins of users, by what came of their items; items count once each", [
    "outcome",
  ]),
  acceptSeconds: seconds("tartan_accept_seconds", "From the last byte of a webhook to its answer", FAST),
  acceptBatchSize: new Histogram({
    name: "tartan_accept_batch_webhooks",
    help: "Webhooks that shared one commit",
    buckets: [1, 2, 5, 10, 20, 50, 100, 200],
    registers: [registry],
  }),
  acceptWaiting: gauge("tartan_accept_waiting", "Webhooks that wait for their commit"),
  eventLoopSeconds: seconds(
    "tartan_event_loop_delay_seconds",
    "Seconds since the start by the longest time in which the event loop was blocked",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  ),
  eventLoopMaxSeconds: gauge(
    "tartan_event_loop_delay_max_seconds",
    "The longest time in which the event loop was blocked, of the last 30 to 60 s",
  ),
  eventLoopP99Seconds: gauge(
    "tartan_event_loop_delay_p99_seconds",
    "99 % of the timers were delayed by less, of the last 30 to 60 s",
  ),
  gaveWaySeconds: counter(
    "tartan_gave_way_seconds_total",
    "Time that other work of this process waited so that webhooks were accepted first",
    ["worker"],
  ),
  spoolWaiting: gauge("tartan_spool_waiting", "Webhooks that wait in the spool"),
  spoolBytes: gauge("tartan_spool_bytes", "Bytes that the spool's files take"),
  spoolOldestSeconds: gauge(
    "tartan_spool_oldest_seconds",
    "Age of the oldest webhook in the spool; 0 when it is empty",
  ),
  spoolSpooled: counter("tartan_spool_spooled_total", "Webhooks that went to the spool's file"),
  spoolDrained: counter("tartan_spool_drained_total", "Webhooks that left the spool, by what came of them", [
    "outcome",
  ]),
  spoolDamaged: counter("tartan_spool_damaged_total", "Damaged places in the spool's files that were stepped over"),
  apiSeconds: seconds("tartan_api_request_seconds", "Requests to the REST API", FAST, ["method", "route", "status"]),
  clockSkewSeconds: gauge("tartan_clock_skew_seconds", "How far the database's clock is ahead of this process's"),
  weeksKept: gauge("tartan_journal_weeks_kept", "Weeks of webhooks kept beyond retention, by what needs them", [
    "needed_for",
  ]),
  keyFetches: counter("tartan_key_fetches_total", "Verification keys asked of Plaid", ["outcome"]),
  plaidSeconds: seconds("tartan_plaid_request_seconds", "Requests to Plaid", SLOW, ["endpoint", "outcome"]),
  runs: counter("tartan_sync_runs_total", "Finished sync runs", ["kind", "outcome"]),
  runSeconds: seconds("tartan_sync_run_seconds", "From claim to completion of a run", SLOW, ["kind"]),
  rows: counter("tartan_mirror_rows_total", "Rows changed in the mirror", ["resource", "change"]),
  checks: counter("tartan_reconciliation_looks_total", "Checks of items by reconciliation, by outcome", ["outcome"]),
  adoptions: counter("tartan_adoptions_total", "Attempts to exchange public tokens from Plaid's webhooks", ["outcome"]),
  jobItems: counter("tartan_job_items_total", "Items that jobs about items have finished with, by outcome", [
    "kind",
    "outcome",
  ]),
  gaps: counter("tartan_reconciliation_gaps_total", "Differences from Plaid that no webhook announced", ["found"]),
  webhooksStopped: gauge("tartan_webhooks_stopped", "Integrations to which Plaid's webhooks no longer come", ["cause"]),
  checkLagSeconds: gauge("tartan_reconciliation_lag_seconds", "How long the check that was claimed last had been due"),
  unfitValues: counter(
    "tartan_mirror_unfit_values_total",
    "Fields of items that hold a value which does not fit its column",
    ["resource", "field"],
  ),
  freshnessSeconds: seconds("tartan_freshness_seconds", "From a webhook's receipt to its rows being visible", SLOW),
  webhooksUnmarked: gauge("tartan_webhooks_unmarked", "Accepted webhooks that sync has not marked yet"),
  subjectsDue: gauge("tartan_subjects_due", "Subjects that wait for a run; counted up to 50001"),
  eventsDispatched: counter("tartan_events_dispatched_total", "Events that were fanned out to destinations"),
  deliveries: counter("tartan_deliveries_total", "Attempts to deliver, by what came of them", ["outcome"]),
  deliverySeconds: seconds("tartan_delivery_attempt_seconds", "One exchange with a receiver", FAST),
  deliveryLagSeconds: seconds("tartan_delivery_lag_seconds", "From what happened to the receiver's 2xx", SLOW),
  outboxWaiting: gauge("tartan_outbox_waiting", "Rows of the outbox that wait for dispatch"),
  deliveriesWaiting: gauge("tartan_deliveries_waiting", "Deliveries that are not finished or gave up", ["state"]),
  relayOverdue: gauge("tartan_relay_overdue", "What waits longer than it should in the relay", ["what"]),
  oldestDueSeconds: gauge(
    "tartan_oldest_due_seconds",
    "Age of the webhook or subject that has waited longest for sync",
  ),
};
