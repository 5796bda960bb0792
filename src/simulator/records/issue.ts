/**
 * Issues: incidents of institutions (https://plaid.com/docs/api/products/issues/). The control begins one, moves it on and resolves it.
 * While it lasts the institution's status is worse. The client's dashboard alert fires when it begins; ISSUE_RESOLVED goes to the
 * URL that the client subscribed with, and nowhere when it did not.
 *
 *   REPORTED → AWAITING_RESOLUTION → FIX_IN_PROGRESS → FIX_PENDING_VALIDATION → RESOLVED; it may stay CANNOT_FIX
 */
import { z } from "zod";
import { INSTITUTIONS, type Institution } from "../catalogue/institutions.ts";
import { momentText } from "../days.ts";
import { invalidField, invalidInstitution } from "../plaid-error.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { digits } from "./people.ts";
import { recordBook, type SimRecord } from "./record-book.ts";

/** Each status, and its name in Plaid's newer (beta) endpoints. */
const STATUSES = {
  REPORTED: "PENDING_NOTIFICATION",
  AWAITING_RESOLUTION: "LIKELY_TO_BE_PRIORITIZED",
  FIX_IN_PROGRESS: "IN_PROGRESS",
  FIX_PENDING_VALIDATION: "DATA_PARTNER_FIX_IN_PROGRESS",
  CANNOT_FIX: "BACKLOGGED",
  RESOLVED: "RESOLVED",
} as const;
type Status = keyof typeof STATUSES;

const NEXT: Partial<Record<Status, Status>> = {
  REPORTED: "AWAITING_RESOLUTION",
  AWAITING_RESOLUTION: "FIX_IN_PROGRESS",
  FIX_IN_PROGRESS: "FIX_PENDING_VALIDATION",
  FIX_PENDING_VALIDATION: "RESOLVED",
};

const status = z.enum(Object.keys(STATUSES) as [Status, ...Status[]]);
const severity = z.enum(["CRITICAL", "HIGH", "MEDIUM", "LOW"]);
const BEHAVIORS = [
  "NEW_CONNECTIONS_CANNOT_BE_ESTABLISHED",
  "EXISTING_CONNECTIONS_WILL_NOT_RECEIVE_UPDATES",
  "EXISTING_CONNECTIONS_WILL_BE_DISCONNECTED",
] as const;
export type IssueBehavior = (typeof BEHAVIORS)[number];

export interface Issue {
  institution: string;
  severity: z.output<typeof severity>;
  behaviors: IssueBehavior[];
  errorCode: string;
  summary: string;
  products: string[];
  status: Status;
  resolvedAt: number | null;
}

export const issue = recordBook<Issue>()({
  kind: "issue",
  id: (random) => `INC${digits(random, 9)}`,
  making: {
    institution_id: z.string().optional(),
    severity: severity.default("HIGH"),
    behaviors: z.array(z.enum(BEHAVIORS)).min(1).optional(),
    error_code: z.string().default("INSTITUTION_NOT_RESPONDING"),
    description: z.string().min(1).optional(),
    products: z.array(z.string()).optional(),
    status: status.exclude(["RESOLVED"]).default("REPORTED"),
  },
  make: (given, { random }) => {
    const institution = given.institution_id === undefined ? random.pick(INSTITUTIONS) : known(given.institution_id);
    return {
      institution: institution.institution_id,
      severity: given.severity,
      behaviors: given.behaviors ?? BEHAVIORS.slice(0, 2),
      errorCode: given.error_code,
      summary: given.description ?? `Connections to ${institution.name} fail more often than usual.`,
      products: given.products ?? institution.products.filter((one) => one !== "balance"),
      status: given.status,
      resolvedAt: null,
    };
  },
  made: ({ state }, sim) => (state.severity === "LOW" ? null : statusAlert(sim, state.institution)),
  changing: { status: status.optional(), severity: severity.optional() },
  change(record, request, sim) {
    const { state } = record;
    state.severity = request.severity ?? state.severity;
    if (request.status === undefined || request.status === state.status) return null;
    state.status = request.status;
    state.resolvedAt = request.status === "RESOLVED" ? sim.time.now() : null;
    return state.resolvedAt !== null && record.webhook !== null ? issueResolved(record) : null;
  },
  calm: ({ state }) => {
    const next = NEXT[state.status];
    return next ? { status: next } : null;
  },
  truth: (record) => ({ issues: { issue: issueObject(record) } }),
  unknown: () => invalidField("issue_id must be the id of an issue"),
});

function known(id: string): Institution {
  const found = INSTITUTIONS.find((one) => one.institution_id === id);
  if (!found) throw invalidInstitution();
  return found;
}

/** Plaid's Issue */
export const issueObject = ({ id, createdAt, state }: SimRecord<Issue>): Record<string, unknown> => ({
  created_at: momentText(createdAt),
  detailed_description: `${state.summary} Requests end with ${state.errorCode}.`,
  institution_ids: [state.institution],
  institution_names: [known(state.institution).name],
  issue_id: id,
  status: state.status,
  summary: state.summary,
});

/** The issue in Plaid's newer endpoints. Its impact is counted on the client's Items at the institution. */
export function newIssueObject(record: SimRecord<Issue>, sim: Simulation): Record<string, unknown> {
  const { id, createdAt, clientId, state } = record;
  const mine = [...sim.world.items.values()].filter(
    (item) => item.clientId === clientId && item.institution.institution_id === state.institution && !item.removed,
  );
  const resolved = state.resolvedAt === null ? null : momentText(state.resolvedAt);
  return {
    affected_products: state.products,
    attribution: "DATA_PARTNER",
    behaviors: state.behaviors,
    description: state.summary,
    end_time: resolved,
    estimated_resolution_time: null,
    impact: {
      affected_existing_item_count: mine.filter((item) => item.createdAt < createdAt).length,
      affected_new_item_count: mine.filter((item) => item.createdAt >= createdAt).length,
    },
    institution_id: state.institution,
    institution_name: known(state.institution).name,
    issue_error_code: state.errorCode,
    issue_error_type: "INSTITUTION_ERROR",
    issue_id: id,
    issue_type: "ERROR",
    resolution_log: resolved === null ? [] : [{ resolution_time: resolved, type: "MANUAL_RESOLUTION" }],
    severity: state.severity,
    start_time: momentText(createdAt),
    status: STATUSES[state.status],
    user_guidance: resolved === null ? "Ask your users to try again later." : null,
  };
}

const issueResolved = ({ id, state }: SimRecord<Issue>): WebhookNotice => ({
  type: "ISSUES",
  code: "ISSUE_RESOLVED",
  fields: {
    institution_id: state.institution,
    institution_name: known(state.institution).name,
    issue_description: state.summary,
    issue_id: id,
    issue_resolved_at: momentText(state.resolvedAt ?? 0),
  },
  withoutEnvironment: true,
});

const statusAlert = (sim: Simulation, institution: string): WebhookNotice => ({
  type: "DASHBOARD_CONFIGURED_ALERT",
  code: "INSTITUTION_STATUS_ALERT_TRIGGERED",
  fields: {
    institution_id: institution,
    institution_overall_success_rate: loginHealth(sim, institution).success,
  },
});

export interface Health {
  status: "HEALTHY" | "DEGRADED" | "DOWN";
  success: number;
}

const HEALTHY: Health = { status: "HEALTHY", success: 0.97 };
const DEGRADED: Health = { status: "DEGRADED", success: 0.55 };
export const DOWN: Health = { status: "DOWN", success: 0.02 };

/** The issues of an institution, of all clients, oldest first. */
export const issuesAt = (sim: Simulation, institution: string): SimRecord<Issue>[] =>
  (sim.world.records.all(issue.kind) as SimRecord<Issue>[]).filter(({ state }) => state.institution === institution);

const isActive = ({ state }: SimRecord<Issue>): boolean => state.status !== "RESOLVED";

/** How logins at the institution succeed now. */
export const loginHealth = (sim: Simulation, institution: string): Health =>
  healthBy(sim, institution, ["NEW_CONNECTIONS_CANNOT_BE_ESTABLISHED", "EXISTING_CONNECTIONS_WILL_BE_DISCONNECTED"]);

/** How updates of linked Items succeed now. */
export const updateHealth = (sim: Simulation, institution: string): Health =>
  healthBy(sim, institution, [
    "EXISTING_CONNECTIONS_WILL_NOT_RECEIVE_UPDATES",
    "EXISTING_CONNECTIONS_WILL_BE_DISCONNECTED",
  ]);

function healthBy(sim: Simulation, institution: string, behaviors: readonly IssueBehavior[]): Health {
  const active = issuesAt(sim, institution)
    .filter(isActive)
    .filter(({ state }) => state.severity !== "LOW" && state.behaviors.some((one) => behaviors.includes(one)));
  if (active.length === 0) return HEALTHY;
  return active.some(({ state }) => state.severity === "CRITICAL") ? DOWN : DEGRADED;
}

const INCIDENT_STATUS: Partial<Record<Status, string>> = { REPORTED: "INVESTIGATING", RESOLVED: "RESOLVED" };
const SHOWN_MS = 14 * 86_400_000;

/** Whether Plaid still shows the issue: while it is active and for two weeks after. */
export const isShown = (record: SimRecord<Issue>, sim: Simulation): boolean =>
  isActive(record) || sim.time.now() - (record.state.resolvedAt ?? 0) <= SHOWN_MS;

/** Plaid's HealthIncident, in the status of the institution */
export const incidentObject = ({ createdAt, state }: SimRecord<Issue>): Record<string, unknown> => ({
  end_date: state.resolvedAt === null ? null : momentText(state.resolvedAt),
  incident_updates: [
    {
      description: state.summary,
      status: INCIDENT_STATUS[state.status] ?? "IDENTIFIED",
      updated_date: momentText(state.resolvedAt ?? createdAt),
    },
  ],
  start_date: momentText(createdAt),
  title: state.summary,
});
