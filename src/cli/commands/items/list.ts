/** `tartan items list`. */
import { listItems } from "../../../sync/items.ts";
import { ago, bold, dim, red, sayJson, sayTable, short, state, tell } from "../../output/print.ts";
import type { Core } from "../../wiring/core.ts";
import { kindsOf, sayMeanings } from "./notices.ts";

interface ListFlags {
  json?: true;
  integration?: string;
  user?: string;
  status?: string;
  notice?: string;
  limit: string;
  cursor?: string;
}

export async function listItemsOf({ database }: Core, flags: ListFlags): Promise<void> {
  const page = await listItems(database, {
    limit: Number(flags.limit),
    ...(flags.integration && { integration_id: flags.integration }),
    ...(flags.user && { user_id: flags.user }),
    ...(flags.status && { status: flags.status }),
    ...(flags.notice && { notice: flags.notice }),
    ...(flags.cursor && { cursor: flags.cursor }),
  });
  if (flags.json) return sayJson(page);
  sayTable(
    page.data,
    {
      item: ({ item_id }) => item_id,
      user: ({ user_id }) => short(user_id),
      institution: ({ institution_name, institution_id }) => bold(institution_name ?? institution_id ?? ""),
      status: ({ status, due }) => state(due && status === "ok" ? "due" : status),
      error: ({ error_code }) => red(error_code ?? ""),
      notices: kindsOf,
      "equal to Plaid": ({ verified_at }) => ago(verified_at),
    },
    noItem(flags),
  );
  sayMeanings(page.data);
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

/** Why the list is empty, and what to do. */
function noItem({ integration, user, status, notice, cursor }: ListFlags): string {
  const filters = Object.entries({ integration, user, status, notice }).filter(([, value]) => value !== undefined);
  if (filters.length > 0) {
    const given = filters.map(([name, value]) => `--${name} ${value}`).join(" ");
    return `No item matches ${given}; \`npx tartan items list\` shows all.`;
  }
  if (cursor !== undefined) return "There are no items after this cursor.";
  return "There is no item yet: post ITEM/CREATED to the intake URL, or run `npx tartan items import`.";
}
