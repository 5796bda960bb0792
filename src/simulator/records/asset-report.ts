/**
 * Asset reports (https://plaid.com/docs/api/products/assets/): what a client's Items held on one day. A report does not change: a
 * refresh makes another one, with an id and a token of its own. It is ready some time after it was created, and announced then.
 */
import { z } from "zod";
import { momentText } from "../days.ts";
import { bookOf, type Item } from "../item.ts";
import { errorObject, invalidAssetReportToken, type ErrorFacts } from "../plaid-error.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { emailOf, lastFour, ownerObject, person, phoneNumber } from "./american.ts";
import { announce } from "./changes.ts";
import { assetAccount, drawReported, type ReportedAccount } from "./check-accounts.ts";
import { recordBook, type Blank, type SimRecord } from "./record-book.ts";
import { drawUserItem, type UserItem } from "./user-items.ts";

type Plain = Record<string, unknown>;

interface ReportedItem {
  item: UserItem;
  accounts: ReportedAccount[];
}

export interface AssetReport {
  token: string;
  daysRequested: number;
  clientReportId: string | null;
  user: Plain;
  items: ReportedItem[];
  readyAt: number;
  /** it was announced, ready or failed */
  settled: boolean;
  error: ErrorFacts | null;
  /** as the report shows them */
  shown: Plain[];
}

const userShape = z.looseObject({ client_user_id: z.string().optional() });

export const assetReport = recordBook<AssetReport>()({
  kind: "asset_report",
  id: (random) => random.uuid(),
  making: {
    days_requested: z.int().min(0).max(730).default(30),
    client_report_id: z.string().optional(),
    user: userShape.optional(),
    /** Items of the client; absent: `items` others that only the report knows */
    item_ids: z.array(z.string()).optional(),
    items: z.int().min(1).max(20).default(1),
    /** seconds until it is ready */
    ready_after_s: z.number().min(0).default(0),
    /** it cannot be made */
    fails: z.boolean().default(false),
  },
  make: (given, blank, sim) => {
    const items = given.item_ids
      ? given.item_ids.map((id) => ofItem(sim.world.items.get(id), blank))
      : Array.from({ length: given.items }, () => drawn(blank));
    const { random } = blank;
    const shown = items.map((each) => itemObject(each, blank, given.days_requested, sim));
    return {
      token: `assets-sandbox-${random.uuid()}`,
      daysRequested: given.days_requested,
      clientReportId: given.client_report_id ?? null,
      user: given.user ?? (given.item_ids ? {} : drawReportUser(blank)),
      items,
      readyAt: sim.time.now() + given.ready_after_s * 1000,
      settled: given.ready_after_s === 0,
      error: given.fails ? FAILED : null,
      shown,
    };
  },
  made: (record) => (record.state.settled ? notice(record) : null),
  plan: (record, sim) => {
    if (!record.state.settled) sim.time.schedule(record.state.readyAt, () => settle(record, sim));
  },
  changing: {
    /** ready, or failed, before its time */
    settle: z.boolean().default(true),
  },
  change: (record, request) => {
    if (!request.settle || record.state.settled) return null;
    record.state.settled = true;
    return notice(record);
  },
  calm: () => null,
  truth: (record): Plain => (isReadable(record) ? { asset_reports: reportAnswer(record) } : {}),
  token: ({ token }) => token,
  unknown: () => invalidAssetReportToken(),
});

const FAILED: ErrorFacts = {
  type: "ASSET_REPORT_ERROR",
  code: "DATA_UNAVAILABLE",
  message: "unable to pull sufficient data for all items to generate this report",
};

export const isReadable = ({ state }: SimRecord<AssetReport>): boolean => state.settled && state.error === null;

function settle(record: SimRecord<AssetReport>, sim: Simulation): void {
  if (record.state.settled) return;
  record.state.settled = true;
  announce(sim, record, notice(record));
}

/** An Item's own accounts, with the owners and the days that reports add. */
function ofItem(item: Item | undefined, { random }: Blank): ReportedItem {
  if (!item) throw invalidAssetReportToken();
  const someone = person(random);
  const { institution, itemId, products } = item;
  return {
    item: {
      itemId,
      institutionId: institution.institution_id,
      institutionName: institution.name,
      products,
      broken: false,
    },
    accounts: bookOf(item).accounts.map(({ id, kind }) => ({
      accountId: id,
      mask: kind.mask ?? lastFour(random),
      name: kind.name,
      type: kind.type,
      subtype: kind.subtype,
      owners: [ownerObject(random, someone)],
    })),
  };
}

function drawn({ random }: Blank): ReportedItem {
  const someone = person(random);
  return {
    item: drawUserItem(random),
    accounts: Array.from({ length: random.between(1, 3) }, () => drawReported(random, someone)),
  };
}

/** Plaid's AssetReportItem */
const itemObject = ({ item, accounts }: ReportedItem, { random }: Blank, days: number, sim: Simulation): Plain => ({
  accounts: accounts.map((account) => assetAccount(random, account, days, sim.today())),
  date_last_updated: momentText(sim.time.now()),
  institution_id: item.institutionId,
  institution_name: item.institutionName,
  item_id: item.itemId,
});

/** Plaid's AssetReportGetResponse */
export const reportAnswer = ({ id, state }: SimRecord<AssetReport>): Plain => ({
  report: {
    asset_report_id: id,
    client_report_id: state.clientReportId,
    date_generated: momentText(state.readyAt),
    days_requested: state.daysRequested,
    items: state.shown,
    user: state.user,
  },
  warnings: [],
});

/** A user as clients describe one to a report. */
function drawReportUser({ random }: Blank): Plain {
  const someone = person(random);
  return {
    client_user_id: `client-${random.below(100_000)}`,
    email: emailOf(someone),
    first_name: someone.given,
    last_name: someone.family,
    phone_number: phoneNumber(random),
    ssn: `123-45-${lastFour(random)}`,
  };
}

const notice = ({ id, state }: SimRecord<AssetReport>): WebhookNotice =>
  state.error === null
    ? { type: "ASSETS", code: "PRODUCT_READY", fields: { asset_report_id: id, report_type: "FULL" } }
    : { type: "ASSETS", code: "ERROR", fields: { asset_report_id: id, error: errorObject(state.error) } };
