/**
 * What the columns of the mirror's tables mean, in plain words, for docs/tables.md and for the comments that Postgres shows with a
 * table. A test demands a sentence for each column of each table, and none for another.
 */
import { INCOME } from "./income.ts";
import { INVESTED_AND_OWED } from "./invested-and-owed.ts";
import { LINKED } from "./linked.ts";
import { MONEY } from "./money.ts";
import { NUMBERS_AND_OWNERS } from "./numbers-and-owners.ts";
import { PEOPLE } from "./people.ts";
import { PROCESSORS } from "./processors.ts";
import { REPORTS } from "./reports.ts";
import { TRADED_AND_RECURRING } from "./traded-and-recurring.ts";
import type { Meanings } from "./types.ts";

const ALL: Meanings = {
  ...LINKED,
  ...INVESTED_AND_OWED,
  ...NUMBERS_AND_OWNERS,
  ...INCOME,
  ...REPORTS,
  ...MONEY,
  ...PEOPLE,
  ...TRADED_AND_RECURRING,
  ...PROCESSORS,
};

/** What the columns have in common that each table has. */
export const COMMON: Readonly<Record<string, string>> = {
  integration_id: "the integration (Plaid client) that the row came through",
  item_id: "Plaid's id of the item, a login at an institution",
  account_id: "Plaid's id of the account",
  plaid_user_id: "Plaid's id of the user",
  asset_report_id: "Plaid's id of the asset report",
  link_session_id: "Plaid's id of the session of Link",
  position:
    "the row's place in Plaid's list, from 1, as text (sort by `position::int`), since Plaid gives it no id; when a row comes or goes, the others move: do not store it",
  raw: "the whole object as Plaid wrote it, with sensitive fields masked",
  added_at: "when Tartan first wrote the row, or wrote it again after a removal",
  changed_at: "when a value of the row last changed",
  removed_at: "when Tartan learned that Plaid no longer has the row; null while Plaid has it",
  verified_at: "when all rows of the subject last equalled Plaid's; null while one of its resources was never read",
  user_id: "your identifier of the user (Plaid's client_user_id)",
  next_step: "what to do about the error, in plain words",
  iso_currency_code: "currency of the amounts, as ISO 4217 has it; null where unofficial_currency_code is set",
  unofficial_currency_code: "currency of the amounts where ISO 4217 has none, such as a cryptocurrency",
};

/** The meaning of a column; undefined where none is written. */
export const meaningOf = (table: string, column: string): string | undefined => ALL[table]?.[column] ?? COMMON[column];

/** The tables and columns that have a meaning of their own. */
export const WRITTEN: readonly (readonly [table: string, column: string])[] = Object.entries(ALL).flatMap(
  ([table, columns]) => Object.keys(columns).map((column) => [table, column] as const),
);
