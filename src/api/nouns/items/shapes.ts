/** The schemas of the answers of /v1/items. No answer holds an access token: it is sealed, and only Plaid receives it. */
import { z } from "zod";
import {
  integrationId,
  itemId,
  noTimestamp,
  orNull,
  timestamp,
  described,
  userId,
  webhookId,
} from "../../../model/schema.ts";
import { ITEM_STATUSES, NOTICE_KINDS } from "../../../model/statuses.ts";
import { NOTICES, STATES } from "../../../sync/life.ts";
import { INTEGRATION_ID, ITEM_ID, USER_ID, WEBHOOK_ID } from "../../../model/examples.ts";
import { shownTables } from "../../../resources/index.ts";

export const itemExample = {
  item_id: ITEM_ID,
  integration_id: INTEGRATION_ID,
  user_id: USER_ID,
  institution_id: "ins_109508",
  institution_name: "First Platypus Bank",
  status: "ok" as const,
  status_message: STATES.ok.meaning,
  status_since: "2026-11-02T09:20:14.310Z",
  notices: [
    {
      kind: "consent_expiring" as const,
      product: null,
      account_id: null,
      since: "2026-11-20T09:20:11.000Z",
      until: "2026-11-27T09:20:11.000Z",
      message: "The user's consent ends at 2026-11-27 09:20 UTC; then the item gives no more data.",
      next_step: NOTICES.consent_expiring.next_step,
    },
  ],
  error_code: null,
  error_message: null,
  next_step: null,
  institution_health: null,
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
  duplicates: [],
  replaces: [],
  unfit_values: [],
};

const status = described(
  z.enum(ITEM_STATUSES),
  ITEM_STATUSES.map((each) => `\`${each}\`: ${STATES[each].meaning}`).join(" "),
);

const Notice = z
  .object({
    kind: described(
      z.enum(NOTICE_KINDS),
      NOTICE_KINDS.map((kind) => `\`${kind}\`: ${NOTICES[kind].meaning}`).join(" "),
    ),
    product: described(z.string().nullable(), "The product that it is about; null with other kinds."),
    account_id: described(z.string().nullable(), "The account that it is about; null with other kinds."),
    since: timestamp("When Plaid first announced it, or Tartan noticed it."),
    until: noTimestamp(
      "When what it warns of happens; of a revoked account, when Tartan stops showing it. Null: no time is known.",
    ),
    message: described(z.string(), "What there is to know, in plain words."),
    next_step: described(z.string(), "What to do."),
  })
  .meta({
    id: "Notice",
    description:
      "What the user of an Item must do or know while its data still flows. It goes by itself once it no longer holds.",
  });

const InstitutionHealth = z
  .object({
    read_at: noTimestamp("When Tartan last asked Plaid; null where that is not known."),
    troubles: described(
      z.array(
        z.object({
          of: described(z.string(), "Plaid's field, such as `item_logins` or `transactions_updates`."),
          status: described(z.string(), "Plaid's word, such as `DEGRADED` or `DOWN`."),
          since: described(z.string().nullable(), "When Plaid says that it changed."),
        }),
      ),
      "What does not work as it should; empty where Plaid names no trouble.",
    ),
  })
  .meta({ id: "InstitutionHealth", description: "Plaid's status of an Item's institution." });

export const ResourceState = z
  .object({
    resource: described(z.string(), "Such as `transactions`."),
    verified_at: noTimestamp(
      "The rows of this resource were equal to Plaid then: it was read to its end. Null: it was never read.",
    ),
    rows: described(z.number().int(), "Rows that Plaid has."),
    absent: described(
      z.enum(["not_listed", "refused", "not_enabled"]).nullable(),
      "Null where the Item has the resource's product. `not_listed`: Plaid does not list the product for the Item. " +
        "`refused`: Plaid refused it for the lack of a product. `not_enabled`: Plaid bills its requests, and the integration does not " +
        "enable it. An absent resource does not count for the Item's `verified_at`.",
    ),
  })
  .meta({ id: "ResourceState", description: "The state of one resource of an Item or another subject." });

/** A single Item is shown with how many rows some of its tables have. */
const counts = Object.fromEntries(
  shownTables().map(({ table: { name, event } }) => {
    const rows = event?.rows ?? name;
    return [name, described(z.number().int(), `${rows.charAt(0).toUpperCase()}${rows.slice(1)} mirrored.`).optional()];
  }),
);

const UnfitValue = z
  .object({
    resource: described(z.string(), "Such as `transactions`."),
    table: described(z.string(), "The table in schema `plaid` that holds the row."),
    field: described(z.string(), "Path of the value in the row's object, such as `balances.current`."),
    expected: described(
      z.string(),
      "What the column holds; `key` for rows that could not be kept for the lack of their key.",
    ),
    found: described(z.string(), "JSON type of the value, or `missing`."),
    example: described(z.string().nullable(), "Key of a row that holds such a value."),
    rows: described(z.number().int(), "Number of rows with such a value in the latest sync run that found one."),
    seen_at: timestamp("When that was."),
  })
  .meta({
    id: "UnfitValue",
    description: "A value of Plaid's that does not fit its column: the column is null, and `raw` has the value.",
  });

export const certainty = described(
  z.enum(["certain", "likely"]),
  "`certain`: Plaid's persistent_account_id is the same. `likely`: mask, name, type and subtype are the same.",
);

export const Duplicate = z
  .object({
    item_id: described(z.string(), "The other Item, which is linked too."),
    accounts: described(
      z.array(
        z.object({
          account_id: described(z.string(), "The account of this Item."),
          other_account_id: described(z.string(), "The same account in the other Item."),
          certainty,
        }),
      ),
      "The accounts that both have.",
    ),
  })
  .meta({ description: "Another Item of the same user that has the same accounts." });

export const Replacement = z
  .object({
    account_id: described(z.string(), "The account as it is called now."),
    old_account_id: described(z.string(), "Its id before, which is gone."),
    old_item_id: described(z.string(), "The Item that had it; this Item, where the id changed within it."),
    certainty,
  })
  .meta({ description: "An account that was known by another id before." });

export const Item = z
  .object({
    item_id: itemId,
    integration_id: integrationId,
    user_id: orNull(userId),
    institution_id: described(z.string().nullable(), "Plaid's id of the bank."),
    institution_name: described(z.string().nullable(), "The bank's name."),
    status,
    status_message: described(z.string(), "What the status means, in plain words."),
    status_since: noTimestamp("Since when it has the status; null where that is not known."),
    notices: described(z.array(Notice), "What its user must do or know while its data still flows, the oldest first."),
    error_code: described(
      z.string().nullable(),
      "Plaid's code of what is wrong with the Item, such as ITEM_LOGIN_REQUIRED; or Tartan's: `token_of_another_item`.",
    ),
    error_message: described(z.string().nullable(), "The meaning of the code."),
    next_step: described(
      z.string().nullable(),
      "What to do about the error or the status; null also where it passes by itself.",
    ),
    institution_health: described(
      InstitutionHealth.nullable(),
      "How the institution is, where the error is the institution's and Plaid's status of it is mirrored.",
    ),
    products: described(z.array(z.string()).nullable(), "Plaid products of the Item."),
    linked_at: noTimestamp("When its token arrived; null if none has."),
    verified_at: noTimestamp(
      "All of the Item's resources were equal to Plaid then: the oldest of theirs. Null while one was never read.",
    ),
    due: described(z.boolean(), "Whether a sync waits or runs."),
    last_error: described(z.record(z.string(), z.unknown()).nullable(), "What the last sync failed with."),
    checked_at: noTimestamp(
      "Reconciliation asked Plaid about the Item then: what differed from the mirror was synced. Null: not yet.",
    ),
    next_check_at: noTimestamp("When the next check is planned; null if none is."),
    webhook_url: described(z.string().nullable(), "Where Plaid sends the Item's webhooks."),
    webhook_url_is_intake: described(
      z.boolean().nullable(),
      "Whether that is the integration's intake URL, by its path. False: Plaid sends webhooks to another URL; move the Item with " +
        "/item/webhook/update. Null: Plaid names no URL.",
    ),
    ...counts,
    resources: described(
      z.array(ResourceState),
      "The state of each resource; only when one Item is asked for.",
    ).optional(),
    duplicates: described(
      z.array(Duplicate),
      "Other linked Items of the same user with the same accounts: the same login, linked twice. Only when one Item is asked for.",
    ).optional(),
    replaces: described(
      z.array(Replacement),
      "Accounts that were known by another id before: in another Item, which is gone, or in this one. Only when one Item is asked for.",
    ).optional(),
    unfit_values: described(
      z.array(UnfitValue),
      "Values that do not fit their columns; only when one Item is asked for.",
    ).optional(),
  })
  .meta({ id: "Item", description: "One Plaid Item and the state of its mirror.", examples: [itemExample] });

export const ItemIntroduced = z
  .object({
    item_id: itemId,
    integration_id: integrationId,
    webhook_id: described(webhookId, "The journal's ITEM/CREATED webhook of it."),
    created: described(z.boolean(), "False where the Item was known: its token was replaced."),
  })
  .meta({
    description: "The Item is linked; its first sync is due.",
    examples: [{ item_id: ITEM_ID, integration_id: INTEGRATION_ID, webhook_id: WEBHOOK_ID, created: true }],
  });

export const SyncRequested = z.object({ item_id: itemId, due: z.literal(true) }).meta({
  description: "The sync is due; it runs as soon as a worker is free.",
  examples: [{ item_id: ITEM_ID, due: true }],
});

export const TokenRotated = z
  .object({ item_id: itemId, integration_id: integrationId, rotated_at: timestamp("When the new token was stored.") })
  .meta({
    description: "The Item has a new access token, which Tartan uses from now on.",
    examples: [{ item_id: ITEM_ID, integration_id: INTEGRATION_ID, rotated_at: "2026-11-20T17:03:29.500Z" }],
  });

export const ItemDeleted = z
  .object({
    item_id: itemId,
    deleted: z.literal(true),
    erased: described(z.boolean(), "Whether its mirror and journal rows were deleted too."),
    removed_at_plaid: described(z.boolean(), "Whether Plaid confirmed that the Item is gone there."),
  })
  .meta({
    description: "What was done.",
    examples: [{ item_id: ITEM_ID, deleted: true, erased: false, removed_at_plaid: true }],
  });
