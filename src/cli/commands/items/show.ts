/** `tartan items show`: one item, what is wrong with it and what to do, and its latest runs. */
import { unfitValues, type UnfitRecord } from "../../../mirror/unfit-queries.ts";
import { resourcesOfItem } from "../../../sync/cursor-queries.ts";
import { knownTwice } from "../../../sync/duplicates.ts";
import type { ItemState } from "../../../sync/items.ts";
import { listRuns } from "../../../sync/queries.ts";
import { describeChanges } from "../../output/describe.ts";
import { ago, bold, dim, red, say, sayFacts, sayJson, sayTable, short, state, yellow } from "../../output/print.ts";
import { sayResources } from "../../output/resources.ts";
import type { Core } from "../../wiring/core.ts";
import { knownItem } from "./known.ts";
import { sayNotices } from "./notices.ts";
import { sayTwice } from "./twice.ts";

export async function showItem({ database }: Core, itemId: string, { json }: { json?: true }): Promise<void> {
  const { counts, ...item } = await knownItem(database, itemId);
  const runs = await listRuns(database, { item_id: itemId, limit: 10 });
  const resources = await resourcesOfItem(database, item.integration_id, itemId);
  const unfit_values = await unfitValues(database, item.integration_id, itemId);
  const twice = await knownTwice(database, item.integration_id, itemId);
  if (json) return sayJson({ ...item, ...counts, ...twice, resources, unfit_values, runs: runs.data });
  sayFacts({
    item: bold(item.item_id),
    integration: item.integration_id,
    user: item.user_id,
    institution: item.institution_name ?? item.institution_id,
    status: `${state(item.status)}  ${item.status_message}`,
    since: item.status_since === null ? null : ago(item.status_since),
    error: item.error_code ? `${red(item.error_code)}  ${item.error_message ?? ""}` : null,
    "next step": item.next_step,
    linked: ago(item.linked_at),
    "equal to Plaid": ago(item.verified_at),
    "last check": ago(item.checked_at),
    "next check": item.next_check_at ? ago(item.next_check_at) : null,
    webhooks: webhooksOf(item),
  });
  sayNotices(item.notices);
  if (item.linked_at === null) return say(NEVER_LINKED);
  say();
  sayResources(resources);
  sayTwice(twice);
  sayUnfit(unfit_values);
  say();
  sayTable(
    runs.data,
    {
      run: ({ started_at }) => ago(started_at),
      outcome: ({ outcome }) => state(outcome),
      webhooks: ({ webhooks }) => String(webhooks),
      changes: ({ update_info }) => describeChanges(update_info),
      error: ({ error }) => red(String(error?.["message"] ?? "")),
      took: ({ update_info }) => dim(`${String(update_info["duration_ms"] ?? "?")} ms`),
    },
    "No run yet.",
  );
}

const NEVER_LINKED = `
Webhooks of this item came, and its access token has not. They are kept. Once your backend posts ITEM/CREATED with the token
to the intake URL (or: npx tartan items add), Tartan reads the whole item and takes up what Plaid announced in the last eight days.`;

/** Where Plaid sends the item's webhooks, if that is a problem. */
const webhooksOf = ({ webhook_url, webhook_url_is_intake, verified_at }: ItemState): string | null => {
  if (webhook_url_is_intake === true) return "arrive here";
  if (webhook_url !== null)
    return yellow(`go to ${webhook_url}; npx tartan items move-webhooks --to-intake moves them here`);
  return verified_at === null
    ? null
    : yellow("Plaid has no URL for them; npx tartan items move-webhooks --to-intake sets it");
};

function sayUnfit(unfit: readonly UnfitRecord[]): void {
  if (unfit.length === 0) return;
  say();
  sayTable(
    unfit,
    {
      "does not fit": ({ table, field }) => red(`${table}.${field}`),
      expected: ({ expected }) => expected,
      found: ({ found }) => found,
      "such as in": ({ example }) => short(example),
      seen: ({ seen_at }) => ago(seen_at),
    },
    "",
  );
}
