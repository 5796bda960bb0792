/**
 * What a processor partner reads of one account with a processor token (https://plaid.com/docs/api/processors/). Plaid's answers have the
 * form of those about an item, with the one account in place of the list: so each resource is derived from the item's, whose columns,
 * masks, meanings and events are declared once, and only what differs stands here. Rows lie under the account's id, which therefore is
 * neither a column of theirs nor part of their keys.
 *
 * A processor token without permissions of its own may read every product, and the first request for one may add and bill it: so each is
 * read only where the integration enables it. Plaid sends a processor webhooks about transactions only.
 */
import { accounts } from "./accounts.ts";
import { auth } from "./auth.ts";
import { balances } from "./balances.ts";
import { holdings } from "./holdings.ts";
import { identity } from "./identity.ts";
import { investmentTransactions } from "./investment-transactions.ts";
import { liabilities } from "./liabilities.ts";
import { recurringTransactions } from "./recurring-transactions.ts";
import { INSTITUTION, PROCESSOR_ACCOUNT } from "./subjects.ts";
import { transactions } from "./transactions.ts";
import { text, type ChangeEvent, type Resource, type RowsAt, type Table, type Touch } from "./types.ts";

/** Where a table's rows are in the processor's answer, and what tells them apart there. */
type Place = Pick<Table, "rows" | "key">;

/** How a processor's resource differs from the item's. */
interface Variation {
  /** absent: the item's behind `/processor` */
  endpoint?: string;
  /** absent: `once`; null: Plaid does not bill it */
  billed?: "each" | null;
  /** by the name of the item's table; absent: where the item's are, with the item's key but for the account */
  places?: (table: Table) => Place;
}

const SUBJECT_COLUMN = "account_id";
const PREFIX = "processor_";

/** The resource of a processor's account that holds what this one holds of an item. */
export function processorVariant(
  base: Resource,
  { endpoint = `/processor${base.fetch.endpoint}`, billed, places = samePlace }: Variation = {},
): Resource {
  const [first, ...rest] = base.tables;
  const variantOf = (table: Table): Table => tableVariant(table, places(table));
  return {
    name: PREFIX + base.name,
    touchedBy: base.touchedBy.filter(isSentToProcessors),
    subject: PROCESSOR_ACCOUNT,
    fetch: { ...base.fetch, endpoint },
    ...(billed === null ? {} : { billed: billed ?? "once" }),
    tables: [variantOf(first), ...rest.map(variantOf)],
  };
}

const isSentToProcessors = ({ type }: Touch): boolean => type === "TRANSACTIONS";

const samePlace = ({ rows, key }: Table): Place => ({ rows, key: key.filter((field) => field !== SUBJECT_COLUMN) });

function tableVariant(table: Table, { rows, key }: Place): Table {
  const { name, row, removals, sensitive, rarelySensitive, columns, event } = table;
  return {
    name: PREFIX + name,
    row: `${row.replace("an item's", "an account's")}, read with a processor token`,
    rows,
    ...(removals === undefined ? {} : { removals }),
    ...(sensitive === undefined ? {} : { sensitive }),
    ...(rarelySensitive === undefined ? {} : { rarelySensitive }),
    key,
    columns: columns.filter((column) => column.name !== SUBJECT_COLUMN && !key.includes(column.name)),
    ...(event === undefined ? {} : { event: eventVariant(event, table.rows, rows) }),
  };
}

/** The example has what is joined to the processor's rows, and not what is joined to the item's alone. */
function eventVariant({ rows, example }: ChangeEvent, base: readonly RowsAt[], places: readonly RowsAt[]): ChangeEvent {
  const joinedIn = (of: readonly RowsAt[]): string[] => of.flatMap((place) => place.with ?? []);
  const left = joinedIn(base).filter((field) => !joinedIn(places).includes(field));
  const kept = Object.entries(example).filter(([field]) => !left.includes(field));
  const { fixed = {}, numbered } = places[0] ?? {};
  const joined = { ...fixed, ...(numbered === undefined ? {} : { [numbered]: 1 }) };
  return { rows: `${rows} read with a processor token`, example: { ...joined, ...Object.fromEntries(kept) } };
}

/** Rows that had no key but the account's id: Plaid lists those of the one account. */
const numbered = ({ rows }: Table): Place => ({
  rows: rows.map((place) => ({ ...place, numbered: "position" })),
  key: ["position"],
});

/** Of each network one object, null where the account has no numbers in it. */
const ofNetwork = ({ rows }: Table): Place => ({
  rows: rows.map((place) => ({
    ...place,
    one: true,
    nullable: true,
    optional: true,
    fixed: { network: place.at.slice(place.at.lastIndexOf(".") + 1) },
  })),
  key: ["network"],
});

const accountOf = processorVariant(accounts, {
  endpoint: "/processor/account/get",
  billed: null,
  places: () => ({ rows: [{ at: "account", with: ["institution_id"] }], key: [] }),
});
const [accountTable] = accountOf.tables;
const INSTITUTION_ID = { institution_id: "ins_109508" };

/** The account of a processor token. */
const processorAccounts: Resource = {
  ...accountOf,
  // Plaid sends it to the token's new URL, which is the first that Tartan hears of many a token.
  touchedBy: [...accountOf.touchedBy, { type: "PROCESSOR_TOKEN" }],
  tables: [
    {
      ...accountTable,
      columns: [text("institution_id"), ...accountTable.columns],
      references: [{ column: "institution_id", subject: INSTITUTION, staleHours: 24 }],
      ...(accountTable.event && {
        event: { ...accountTable.event, example: { ...accountTable.event.example, ...INSTITUTION_ID } },
      }),
    },
  ],
};

/** All that is read with a processor token. */
export const PROCESSOR_RESOURCES: readonly Resource[] = [
  processorAccounts,
  processorVariant(transactions),
  processorVariant(holdings),
  processorVariant(liabilities, { places: numbered }),
  processorVariant(auth, { places: ofNetwork }),
  processorVariant(identity, {
    places: () => ({ rows: [{ at: "account.owners", numbered: "position" }], key: ["position"] }),
  }),
  processorVariant(investmentTransactions),
  processorVariant(recurringTransactions),
  processorVariant(balances, {
    endpoint: "/processor/balance/get",
    billed: "each",
    // A key needs a field: any that each account has.
    places: () => ({ rows: [{ at: "account", one: true }], key: ["type"] }),
  }),
];

/** The name of the item's table from which a processor's table is derived. */
export const baseTableOf = (name: string): string => name.slice(PREFIX.length);
