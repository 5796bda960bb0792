/** The shapes of /v1/items. No answer holds an access token: the vault keeps it, and only sync takes it out. */
import { z } from "zod";
import { STATUSES } from "../../../sync/types.ts";
import { EXAMPLES } from "../examples.ts";
import {
  anyObject,
  asked,
  askedIntegration,
  askedItem,
  askedUser,
  flag,
  integrationId,
  itemId,
  noTimestamp,
  orNull,
  page,
  timestamp,
  told,
  userId,
  webhookId,
} from "../../http/shapes.ts";

const status = told(
  z.string(),
  "`pending`: not synced yet. `ok`: the mirror is true. `retrying`: Plaid or the bank failed, tried again by itself. " +
    "`waiting`: for Plaid to have the data. `needs_user`: Link in update mode, or another way that next_step names; the rows " +
    "are kept and the Item is checked daily. `ended`: Plaid no longer has it, link it anew. " +
    "`misconfigured`: see last_error, it is not the Item's fault. `unlinked`: Tartan has no token; it was dropped, or " +
    "webhooks came and the token has not come yet.",
);

const ResourceState = z
  .object({
    resource: told(z.string(), "Such as `transactions`."),
    verified_at: noTimestamp(
      "The rows of this resource were equal to Plaid then: it was read to its end. Null: it was never read.",
    ),
    rows: told(z.number().int(), "Rows that Plaid has."),
    absent: told(
      z.enum(["not_listed", "refused"]).nullable(),
      "Null where the Item has the resource's product. `not_listed`: Plaid does not list the product for the Item. " +
        "`refused`: Plaid refused it for the lack of a product. An absent resource does not count for the Item's `verified_at`.",
    ),
  })
  .meta({ id: "ResourceState", description: "How one resource of an Item stands." });

const UnfitValue = z
  .object({
    resource: told(z.string(), "Such as `transactions`."),
    field: told(z.string(), "Path of the value in the row's object, such as `balances.current`."),
    expected: told(
      z.string(),
      "What the column holds; `key` for rows that could not be kept for the lack of their key.",
    ),
    found: told(z.string(), "JSON type of the value, or `missing`."),
    example: told(z.string().nullable(), "Key of a row that holds such a value."),
    rows: told(z.number().int(), "How many rows of the latest reading with such a value held one."),
    seen_at: timestamp("When that was."),
  })
  .meta({
    id: "UnfitValue",
    description: "A value of Plaid's that does not fit its column: it is null there and whole in raw.",
  });

export const Item = z
  .object({
    item_id: itemId,
    integration_id: integrationId,
    user_id: orNull(userId),
    institution_id: told(z.string().nullable(), "Plaid's id of the bank."),
    institution_name: told(z.string().nullable(), "The bank's name."),
    status,
    error_code: told(
      z.string().nullable(),
      "Plaid's code of what is wrong with the Item, such as ITEM_LOGIN_REQUIRED; or Tartan's: `token_of_another_item`.",
    ),
    error_message: told(z.string().nullable(), "What that means, in plain words."),
    next_step: told(z.string().nullable(), "What to do about it; null also where it passes by itself."),
    products: told(z.array(z.string()).nullable(), "Plaid products of the Item."),
    linked_at: noTimestamp("When its token arrived; null while none has."),
    verified_at: noTimestamp(
      "All of the Item's resources were equal to Plaid then: the oldest of theirs. Null while one was never read.",
    ),
    due: told(z.boolean(), "Whether a sync waits or runs."),
    last_error: told(z.record(z.string(), z.unknown()).nullable(), "What the last sync failed with."),
    checked_at: noTimestamp(
      "Reconciliation asked Plaid about the Item then: what differed from the mirror was synced. Null: not yet.",
    ),
    next_check_at: noTimestamp("When it asks next; null where that is not planned."),
    webhook_url: told(z.string().nullable(), "Where Plaid sends the Item's webhooks."),
    webhook_url_is_intake: told(
      z.boolean().nullable(),
      "Whether that is the integration's intake URL, by its path. False: Plaid tells somebody else; move the Item with " +
        "/item/webhook/update. Null: Plaid names no URL.",
    ),
    accounts: told(z.number().int(), "Accounts mirrored.").optional(),
    transactions: told(z.number().int(), "Transactions mirrored.").optional(),
    resources: told(z.array(ResourceState), "How each resource stands; of a single Item only.").optional(),
    unfit_values: told(z.array(UnfitValue), "Values that do not fit their columns; of a single Item only.").optional(),
  })
  .meta({ id: "Item", description: "One Plaid Item and how its mirror stands.", examples: [EXAMPLES.item] });

export const NewItem = z
  .strictObject({
    integration_id: askedIntegration,
    item_id: asked(200, "Plaid's id of the Item, from /item/public_token/exchange."),
    access_token: asked(500, "Its access token; sealed before it touches the disk."),
    user_id: askedUser.exactOptional(),
  })
  .meta({ examples: [EXAMPLES.newItem] });

export const ItemIntroduced = z
  .object({
    item_id: itemId,
    integration_id: integrationId,
    webhook_id: told(webhookId, "The ITEM/CREATED that the journal keeps of it."),
    created: told(z.boolean(), "False where the Item was known: its token was replaced."),
  })
  .meta({ description: "The Item is linked; its first sync is due.", examples: [EXAMPLES.itemIntroduced] });

export const SyncRequest = z
  .strictObject({
    resources: told(
      z.array(asked(100, "Name of a resource.")).min(1).max(50),
      "Which resources to bring up to date; all of them when absent.",
    ).exactOptional(),
    full: told(
      z.boolean(),
      "Forget the cursor, read everything again, and mark as removed what Plaid no longer has.",
    ).exactOptional(),
  })
  .meta({ examples: [EXAMPLES.syncRequest] });

export const SyncRequested = z
  .object({ item_id: itemId, due: z.literal(true) })
  .meta({ description: "The sync is due; it runs as soon as a worker is free.", examples: [EXAMPLES.syncRequested] });

export const ItemDeleted = z
  .object({
    item_id: itemId,
    deleted: z.literal(true),
    erased: told(z.boolean(), "Whether its mirror and journal rows were deleted too."),
    removed_at_plaid: told(z.boolean(), "Whether Plaid confirmed that the Item is gone there."),
  })
  .meta({ description: "What was done.", examples: [EXAMPLES.itemDeleted] });

export const Run = z
  .object({
    id: told(z.string(), "Id of the run; ids sort by time."),
    item_id: itemId,
    integration_id: integrationId,
    started_at: timestamp("When a worker took it."),
    finished_at: timestamp("When its rows were visible."),
    outcome: told(z.string(), "`synced`, or what came of it instead; `failed` for a run that ended unexpectedly."),
    error: told(
      z.record(z.string(), z.unknown()).nullable(),
      "What it failed with: `error_code`, `message`, `next_step`. Null where nothing failed.",
    ),
    webhooks: told(z.number().int(), "How many webhooks it served."),
    update_info: anyObject("What it found; the same as on the webhooks that it served."),
  })
  .meta({ id: "Run", description: "One sync run.", examples: [EXAMPLES.run] });

export const ItemParams = z.object({ item_id: askedItem });
/** Item ids are Plaid's and rarely shared; where two integrations link one Item, this says which is meant. */
const whichIntegration = {
  integration_id: asked(
    100,
    "Which one is meant, where several integrations link the Item; else the latest.",
  ).exactOptional(),
};
export const ItemQuery = z.strictObject(whichIntegration);
export const ItemsQuery = z.strictObject({
  integration_id: askedIntegration.exactOptional(),
  user_id: askedUser.exactOptional(),
  status: told(z.enum(STATUSES), "Of its sync.").exactOptional(),
  ...page,
});
export const RunsQuery = z.strictObject(page);
export const ItemDeletion = z.strictObject({
  ...whichIntegration,
  erase: flag("Also delete what was mirrored and journaled for it."),
  remove_at_plaid: flag("First remove it at Plaid (/item/remove), which ends its billing and its token."),
});
