/** What /v1/items answers. No answer holds an access token: the vault keeps it, and only sync takes it out. */
import { z } from "zod";
import {
  integrationId,
  itemId,
  noTimestamp,
  orNull,
  timestamp,
  told,
  userId,
  webhookId,
} from "../../../model/schema.ts";
import { ITEM_STATUSES } from "../../../model/statuses.ts";
import { INTEGRATION_ID, ITEM_ID, USER_ID, WEBHOOK_ID } from "../../../model/examples.ts";

export const itemExample = {
  item_id: ITEM_ID,
  integration_id: INTEGRATION_ID,
  user_id: USER_ID,
  institution_id: "ins_109508",
  institution_name: "First Platypus Bank",
  status: "ok" as const,
  error_code: null,
  error_message: null,
  next_step: null,
  products: ["transactions"],
  linked_at: "2026-11-02T09:20:11.042Z",
  verified_at: "2026-11-20T17:03:29.500Z",
  due: false,
  last_error: null,
  checked_at: "2026-11-20T21:02:10.300Z",
  next_check_at: "2026-11-21T21:02:10.300Z",
  webhook_url: `https://tartan.example.com/v1/integrations/${INTEGRATION_ID}`,
  webhook_url_is_intake: true,
  accounts: 2,
  transactions: 148,
  resources: [
    { resource: "items", verified_at: "2026-11-20T17:03:29.500Z", rows: 1, absent: null },
    { resource: "accounts", verified_at: "2026-11-20T19:40:02.118Z", rows: 2, absent: null },
    { resource: "transactions", verified_at: "2026-11-20T19:40:02.118Z", rows: 148, absent: null },
  ],
  unfit_values: [],
};

const status = told(
  z.enum(ITEM_STATUSES),
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
    table: told(z.string(), "The one of the resource's tables in schema `plaid` that holds the row."),
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
  .meta({ id: "Item", description: "One Plaid Item and how its mirror stands.", examples: [itemExample] });

export const ItemIntroduced = z
  .object({
    item_id: itemId,
    integration_id: integrationId,
    webhook_id: told(webhookId, "The ITEM/CREATED that the journal keeps of it."),
    created: told(z.boolean(), "False where the Item was known: its token was replaced."),
  })
  .meta({
    description: "The Item is linked; its first sync is due.",
    examples: [{ item_id: ITEM_ID, integration_id: INTEGRATION_ID, webhook_id: WEBHOOK_ID, created: true }],
  });

export const SyncRequested = z.object({ item_id: itemId, due: z.literal(true) }).meta({
  description: "The sync is due; it runs as soon as a worker is free.",
  examples: [{ item_id: ITEM_ID, due: true }],
});

export const ItemDeleted = z
  .object({
    item_id: itemId,
    deleted: z.literal(true),
    erased: told(z.boolean(), "Whether its mirror and journal rows were deleted too."),
    removed_at_plaid: told(z.boolean(), "Whether Plaid confirmed that the Item is gone there."),
  })
  .meta({
    description: "What was done.",
    examples: [{ item_id: ITEM_ID, deleted: true, erased: false, removed_at_plaid: true }],
  });
