/**
 * Users (https://plaid.com/docs/api/users/): what belongs to a person over all Items. A user who was created in the older way has a
 * token beside the id, and endpoints take either. Everything that is known of the user hangs here: the Items, payroll income, reports
 * on bank income, the consumer report and the cash-flow updates.
 */
import { z } from "zod";
import { userNotFound } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { addressData, emailOf, person, phoneNumber, type Person } from "./american.ts";
import { bankIncomeObject, drawIncomeItem, type IncomeItem } from "./bank-income.ts";
import { CASH_FLOW_CODES, cashFlowNotices, monitoredItem, type CashFlowCode, type Monitoring } from "./cash-flow.ts";
import { drawReported } from "./check-accounts.ts";
import { drawReport, drawStream, type CheckItem, type CheckReport } from "./check-report.ts";
import { addPayStubs, drawPayroll, type PayrollItem } from "./payroll-income.ts";
import { announce } from "./changes.ts";
import { recordBook, type SimRecord } from "./record-book.ts";
import { drawUserItem, type UserItem } from "./user-items.ts";
import {
  bankIncomeNotice,
  incomeTruth,
  incomeVerification,
  reportReady,
  reportTruth,
  userItems,
  userObject,
} from "./user-objects.ts";

type Plain = Record<string, unknown>;

/** An Item of the user with what the reports read of it. */
interface Reported {
  item: UserItem;
  income: IncomeItem;
  check: CheckItem;
}

export interface User {
  clientUserId: string;
  /** of a user who was created in the older way */
  token: string | null;
  person: Person;
  identity: Plain | null;
  updatedAt: number;
  removed: boolean;
  items: Reported[];
  payroll: PayrollItem[];
  /** reports on bank income, newest first */
  bankIncome: Plain[];
  report: CheckReport | null;
  monitoring: Monitoring | null;
}

const few = z.int().min(0).max(100).default(0);
const KEPT_REPORTS = 5;

const changing = {
  add_items: few,
  remove_items: few,
  /** one Item needs its user, or is repaired */
  break_item: z.boolean().default(false),
  /** newer pay stubs of each job */
  pay_stubs: few,
  /** a new report on bank income */
  bank_income: z.boolean().default(false),
  /** a new consumer report, ready at once */
  check_report: z.boolean().default(false),
  /** newer cash-flow updates */
  cash_flow: z.boolean().default(false),
};
type Change = z.output<z.ZodObject<typeof changing>>;

export const user = recordBook<User>()({
  kind: "user",
  id: (random) => `usr_${random.id(14)}`,
  making: {
    client_user_id: z.string().min(1).optional(),
    /** created in the older way, with a user_token */
    legacy: z.boolean().default(false),
    identity: z.record(z.string(), z.unknown()).nullish(),
    /** Items that reports read */
    items: z.int().min(0).max(20).default(1),
    payroll: z.boolean().default(true),
    bank_income: z.boolean().default(true),
    check_report: z.boolean().default(true),
    cash_flow: z.boolean().default(true),
  },
  make: (given, { random, id, createdAt }, sim) => {
    const someone = person(random);
    const state: User = {
      clientUserId: given.client_user_id ?? `client-${id.slice(4)}`,
      token: given.legacy ? `user-sandbox-${random.uuid()}` : null,
      person: someone,
      identity:
        given.identity === undefined && given.items > 0 ? identityOf(random, someone) : (given.identity ?? null),
      updatedAt: createdAt,
      removed: false,
      items: [],
      payroll: [],
      bankIncome: [],
      report: null,
      monitoring: null,
    };
    for (let n = 0; n < given.items; n += 1) state.items.push(drawReportedItem(random, someone));
    if (given.payroll) {
      const draw = (uploaded: boolean) => drawPayroll(random, someone, sim.today(), createdAt, uploaded);
      state.payroll.push(draw(false), ...(random.chance(0.5) ? [draw(true)] : []));
    }
    if (given.bank_income) addBankIncome(state, random, sim);
    if (given.check_report) newReport(state, random, sim, {});
    if (given.cash_flow) state.monitoring = subscribed(state, random, sim, null);
    return state;
  },
  made: (record) => [
    ...(record.state.payroll.length > 0 ? [incomeVerification(record)] : []),
    ...(record.state.bankIncome.length > 0 ? [bankIncomeNotice(record, "BANK_INCOME_COMPLETE")] : []),
    ...(record.state.report ? [reportReady(record)] : []),
  ],
  plan: planReport,
  changing,
  change,
  calm: (_, random) => {
    const roll = random.below(4);
    if (roll === 0) return { pay_stubs: 1 };
    return roll === 1 ? { bank_income: true } : roll === 2 ? { check_report: true } : { cash_flow: true };
  },
  truth: (record, sim) => ({
    users: { items: userItems(record, sim), user: userObject(record) },
    ...incomeTruth(record.state),
    ...reportTruth(record.state),
  }),
  token: ({ token }) => token,
  unknown: () => userNotFound(),
});

function change(record: SimRecord<User>, request: Change, sim: Simulation): WebhookNotice[] {
  const { state, random } = record;
  const now = sim.time.now();
  const notices: WebhookNotice[] = [];
  state.items = state.items.slice(Math.min(request.remove_items, state.items.length));
  for (let n = 0; n < request.add_items; n += 1) state.items.push(drawReportedItem(random, state.person));
  const [first] = state.items;
  if (request.break_item && first) first.item.broken = !first.item.broken;
  if (request.pay_stubs > 0 && state.payroll.length > 0) {
    for (const item of state.payroll) addPayStubs(item, random, request.pay_stubs, now);
    notices.push(incomeVerification(record));
  }
  if (request.bank_income) {
    addBankIncome(state, random, sim);
    notices.push(bankIncomeNotice(record, "BANK_INCOME_REFRESH_COMPLETE"));
  }
  if (request.check_report) {
    newReport(state, random, sim, {});
    notices.push(reportReady(record));
  }
  if (request.cash_flow && state.monitoring) notices.push(...updateCashFlow(record, sim, CASH_FLOW_CODES.slice(0, 2)));
  return notices;
}

const drawReportedItem = (random: Random, someone: Person): Reported => {
  const item = drawUserItem(random);
  const accounts = Array.from({ length: random.between(1, 2) }, () => drawReported(random, someone));
  return { item, income: drawIncomeItem(random, item, someone), check: { item, accounts, stream: drawStream(random) } };
};

/** Plaid's ClientUserIdentity */
const identityOf = (random: Random, someone: Person): Plain => ({
  addresses: [addressOf(random)],
  date_of_birth: `19${random.between(60, 99)}-0${random.between(1, 9)}-1${random.below(10)}`,
  emails: [{ data: emailOf(someone), primary: true }],
  id_numbers: [{ type: "us_ssn_last_4", value: String(random.between(1000, 9999)) }],
  name: { family_name: someone.family, given_name: someone.given },
  phone_numbers: [{ data: phoneNumber(random), primary: true }],
});

function addressOf(random: Random): Plain {
  const { street, ...rest } = addressData(random);
  return { ...rest, primary: true, street_1: street, street_2: null };
}

function addBankIncome(state: User, random: Random, sim: Simulation): void {
  const items = state.items.map(({ income }) => income);
  const report = bankIncomeObject(random, items, sim.time.now(), sim.today());
  state.bankIncome = [report, ...state.bankIncome].slice(0, KEPT_REPORTS);
}

/** Makes the consumer report that replaces the last one. */
export function newReport(
  state: User,
  random: Random,
  sim: Simulation,
  {
    daysRequested = 90,
    clientReportId = null,
    afterMs = 0,
  }: { daysRequested?: number; clientReportId?: string | null; afterMs?: number },
): CheckReport {
  const now = sim.time.now();
  const asked = { daysRequested, clientReportId, now, readyAt: now + afterMs, day: sim.today() };
  state.report = drawReport(
    random,
    state.items.map(({ check }) => check),
    asked,
  );
  return state.report;
}

/** Announces the report at the time when it is ready, unless another has replaced it. */
export function planReport(record: SimRecord<User>, sim: Simulation): void {
  const { report } = record.state;
  if (report === null || report.readyAt <= sim.time.now()) return;
  sim.time.schedule(report.readyAt, () => {
    if (record.state.report?.reportId === report.reportId) announce(sim, record, reportReady(record));
  });
}

/** Subscribes to the cash-flow updates of the user's first Item. */
export function subscribed(state: User, random: Random, sim: Simulation, webhook: string | null): Monitoring {
  return {
    subscriptionId: random.uuid(),
    insightsId: random.uuid(),
    webhook,
    items: monitored(state, random, sim),
  };
}

const monitored = ({ items }: User, random: Random, sim: Simulation): Plain[] =>
  items.slice(0, 1).map(({ check }) => monitoredItem(random, check, sim.time.now(), sim.today()));

/** Reads the Item again; the webhooks that name what was found. */
export function updateCashFlow(
  { id, state, random }: SimRecord<User>,
  sim: Simulation,
  codes: readonly CashFlowCode[],
): WebhookNotice[] {
  if (!state.monitoring) return [];
  state.monitoring = { ...state.monitoring, insightsId: random.uuid(), items: monitored(state, random, sim) };
  return cashFlowNotices(id, codes, state.token !== null);
}
