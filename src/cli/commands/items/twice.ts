/** The accounts of an item that the mirror has by another id too, as `tartan items show` prints them. */
import { ONE_OF_TWO, type Duplicate, type Replacement } from "../../../sync/duplicates.ts";
import { say, sayTable, yellow } from "../../output/print.ts";

interface Row {
  account: string;
  relation: string;
  other: string;
  item: string;
  match: string;
}

export function sayTwice({ duplicates, replaces }: { duplicates: Duplicate[]; replaces: Replacement[] }): void {
  const rows: Row[] = duplicates.flatMap(({ item_id: item, accounts }) =>
    accounts.map(({ account_id: account, other_account_id: other, certainty: match }) => ({
      account,
      relation: yellow("linked twice"),
      other,
      item,
      match,
    })),
  );
  for (const { account_id: account, old_account_id: other, old_item_id: item, certainty: match } of replaces)
    rows.push({ account, relation: "replaces", other, item, match });
  if (rows.length === 0) return;
  say();
  sayTable(
    rows,
    {
      account: ({ account }) => account,
      "": ({ relation }) => relation,
      "other id": ({ other }) => other,
      "of item": ({ item }) => item,
      match: ({ match }) => match,
    },
    "",
  );
  if (duplicates.length > 0) say(`\n${ONE_OF_TWO}`);
}
