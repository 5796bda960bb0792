/** What is read with processor tokens: what the columns of the items' tables mean, and a few of its own. */
import { baseTableOf, PROCESSOR_RESOURCES } from "../processor.ts";
import { INVESTED_AND_OWED } from "./invested-and-owed.ts";
import { LINKED } from "./linked.ts";
import { NUMBERS_AND_OWNERS } from "./numbers-and-owners.ts";
import { TRADED_AND_RECURRING } from "./traded-and-recurring.ts";
import type { Meanings } from "./types.ts";

const OF_ITEMS: Meanings = { ...LINKED, ...INVESTED_AND_OWED, ...NUMBERS_AND_OWNERS, ...TRADED_AND_RECURRING };

/** What only the processors' tables have. */
const OWN: Readonly<Record<string, string>> = {
  network: "the network of the numbers, as in the name of the table: ach, eft, international or bacs",
  institution_id: "Plaid's id of the bank; joins the institutions",
};

export const PROCESSORS: Meanings = Object.fromEntries(
  PROCESSOR_RESOURCES.flatMap(({ tables }) =>
    tables.map((table) => {
      const names = [...table.key, ...table.columns.map(({ name }) => name)];
      const meanings = { ...OWN, ...OF_ITEMS[baseTableOf(table.name)] };
      const known = names.flatMap((name) => (name in meanings ? [[name, meanings[name] ?? ""] as const] : []));
      return [table.name, Object.fromEntries(known)] as const;
    }),
  ),
);
