/**
 * All that the mirror can hold, in the order in which a run applies it. A new resource gets one line here.
 */
import { accounts } from "./accounts.ts";
import { auth } from "./auth.ts";
import { assetReports } from "./asset-reports.ts";
import { balances } from "./balances.ts";
import { bankIncome } from "./bank-income.ts";
import { craBaseReport } from "./cra-base-report.ts";
import { craCashflowInsights } from "./cra-cashflow-insights.ts";
import { craEmploymentRefresh } from "./cra-employment-refresh.ts";
import { craIncomeInsights } from "./cra-income-insights.ts";
import { craLendScore } from "./cra-lend-score.ts";
import { craMonitoringInsights } from "./cra-monitoring-insights.ts";
import { craNetworkInsights } from "./cra-network-insights.ts";
import { craPartnerInsights } from "./cra-partner-insights.ts";
import { craVerificationReport } from "./cra-verification-report.ts";
import { holdings } from "./holdings.ts";
import { identity } from "./identity.ts";
import { institutions } from "./institutions.ts";
import { issues } from "./issues.ts";
import { items } from "./items.ts";
import { liabilities } from "./liabilities.ts";
import { partnerCustomers } from "./partner-customers.ts";
import { investmentTransactions } from "./investment-transactions.ts";
import { recurringTransactions } from "./recurring-transactions.ts";
import { statements } from "./statements.ts";
import { linkSessions } from "./link-sessions.ts";
import { payrollIncome } from "./payroll-income.ts";
import { payrollRiskSignals } from "./payroll-risk-signals.ts";
import { transactions } from "./transactions.ts";
import { identityVerifications } from "./identity-verifications.ts";
import {
  entityWatchlistScreeningHits,
  entityWatchlistScreenings,
  watchlistScreeningHits,
  watchlistScreenings,
} from "./screenings.ts";
import { originators } from "./originators.ts";
import { paymentConsents } from "./payment-consents.ts";
import { payments } from "./payments.ts";
import { PROCESSOR_RESOURCES } from "./processor.ts";
import { recurringTransfers } from "./recurring-transfers.ts";
import { transferLedger } from "./transfer-ledger.ts";
import { transfers } from "./transfers.ts";
import type { Fetch, Request, RequestBeside, Resource, SubjectKind, Table, Touch } from "./types.ts";
import { users } from "./users.ts";
import { walletTransactions } from "./wallet-transactions.ts";
import { wallets } from "./wallets.ts";

export const RESOURCES: readonly Resource[] = [
  items,
  accounts,
  transactions,
  holdings,
  liabilities,
  auth,
  identity,
  statements,
  investmentTransactions,
  recurringTransactions,
  balances,
  institutions,
  issues,
  partnerCustomers,
  users,
  payrollIncome,
  payrollRiskSignals,
  bankIncome,
  craBaseReport,
  craIncomeInsights,
  craPartnerInsights,
  craNetworkInsights,
  craCashflowInsights,
  craLendScore,
  craVerificationReport,
  craEmploymentRefresh,
  craMonitoringInsights,
  assetReports,
  linkSessions,
  transferLedger,
  transfers,
  recurringTransfers,
  originators,
  payments,
  paymentConsents,
  walletTransactions,
  wallets,
  identityVerifications,
  watchlistScreenings,
  watchlistScreeningHits,
  entityWatchlistScreenings,
  entityWatchlistScreeningHits,
  ...PROCESSOR_RESOURCES,
];

/** The resources of a kind of subject, such as `item`; none for a kind that nothing mirrors. */
export function resourcesOf(kind: string): readonly Resource[] {
  return RESOURCES.filter((resource) => resource.subject.kind === kind);
}

/** The kind of subject by its name, or undefined when nothing of that kind is mirrored. */
export function subjectKind(kind: string): SubjectKind | undefined {
  return resourcesOf(kind)[0]?.subject;
}

/** The names of all kinds of subject but items. */
export const OTHER_KINDS: readonly string[] = [...new Set(RESOURCES.map(({ subject }) => subject.kind))].filter(
  (kind) => kind !== "item",
);

/** The table of a resource whose one row stands for the subject itself. */
export const rootTable = ({ tables }: Resource): Table | undefined => tables.find(({ key }) => key.length === 0);

/** The resource with the row of the subject itself, which has the subject's status. */
export function rootOf(resources: readonly Resource[]): Resource | undefined {
  return resources.find((resource) => rootTable(resource) !== undefined);
}

/** The requests of one reading; those beside the first by the name under which their answers stand in its answer. */
export function requestsOf(fetch: Fetch): {
  first: Request;
  beside: readonly (readonly [name: string, RequestBeside])[];
} {
  return { first: fetch, beside: fetch.kind === "snapshot" ? Object.entries(fetch.and ?? {}) : [] };
}

export function endpointsOf(fetch: Fetch): string[] {
  const { first, beside } = requestsOf(fetch);
  return [first, ...beside.map(([, request]) => request)].map(({ endpoint }) => endpoint);
}

const BILLED = new Set(RESOURCES.flatMap(({ billed, fetch }) => (billed === undefined ? [] : endpointsOf(fetch))));

/** Whether Plaid bills each request of an endpoint. */
export const isBilledEndpoint = (endpoint: string): boolean => BILLED.has(endpoint);

/** The tables whose number of rows is shown with a single item. */
export const shownTables = (): { resource: Resource; table: Table }[] =>
  resourcesOf("item").flatMap((resource) =>
    resource.tables.filter(({ countShown }) => countShown).map((table) => ({ resource, table })),
  );

/** Whether fields of its rows are masked until an integration reveals it; tokens alone are never revealed. */
export const isRevealable = ({ tables }: Resource): boolean =>
  tables.some(({ sensitive = {} }) => Object.values(sensitive).some((mask) => mask !== "token"));

/** The names that an integration may reveal, and those that it may enable. */
export const REVEALABLE = RESOURCES.filter(isRevealable).map(({ name }) => name);
export const ENABLABLE = RESOURCES.filter(({ billed }) => billed !== undefined).map(({ name }) => name);

/** The type of the events that hold changed rows of a table, such as `transactions.changed`. */
export const changeType = ({ name }: Pick<Table, "name">): `${string}.changed` => `${name}.changed`;

/** Whether a webhook changes something that is mirrored of this kind of subject; null: of any kind. */
export function changesMirror(kind: string | null, type: string | null, code: string | null): boolean {
  const resources = kind === null ? RESOURCES : resourcesOf(kind);
  return resources.some(({ touchedBy }) => touches(touchedBy, type, code));
}

/** Whether a webhook is one of these; one without type or code is none. */
export function touches(touched: readonly Touch[], type: string | null, code: string | null): boolean {
  return touched.some(
    (touch) =>
      touch.type === type &&
      (touch.codes === undefined || (code !== null && touch.codes.includes(code))) &&
      !(touch.except !== undefined && code !== null && touch.except.includes(code)),
  );
}
