/**
 * /v1/changes: rows of the mirror that changed, to fetch. The answer is joined from the stored texts of the rows, whose numbers are
 * Plaid's to the last digit, so the declared schema describes it and does not cut it.
 */
import { z } from "zod";
import { eventId, integrationId, itemId, orNull, timestamp, described, userId, anyObject } from "../../model/schema.ts";
import { ChangesQuery } from "../../relay/feed/change.schema.ts";
import { CHANGE_TABLES } from "../../relay/feed/change-tables.ts";
import { waitForChanges } from "../../relay/feed/changes.ts";
import { HAS_MORE, pageText } from "../../relay/feed/page-text.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { asText, waiters } from "../http/waiting.ts";

export function changeOperations(api: Api, { database }: ApiDeps): void {
  const untilGone = waiters(api);

  api.get("/v1/changes", { schema: LIST }, async ({ query }, reply) => {
    const { resource, wait_s, ...rest } = query;
    const asked = { ...rest, resources: resource?.split(",") };
    const page = await waitForChanges(database, asked, wait_s * 1000, untilGone(reply));
    return asText(reply, pageText(page.changes, page));
  });

  api.get("/v1/changes/resources", { schema: RESOURCES }, async () => ({ data: [...CHANGE_TABLES] }));
}

const CURSOR = "MTA0Mjo0OjE3YjM1ZmQ5";

const Change = z.looseObject({
  change: described(
    z.enum(["added", "modified", "removed", "erased"]),
    "What happened to the row. `erased`: the Item or subject was erased with all its rows of all tables; nothing names them.",
  ),
  resource: described(z.string().nullable(), "The table of the mirror; null of `erased`."),
  key: described(
    z.record(z.string(), z.unknown()).nullable(),
    "The columns that tell the row apart within the integration, as the table's primary key has them; null of `erased`.",
  ),
  row: described(
    z.record(z.string(), z.unknown()).nullable(),
    "The row as the column `raw` of the table has it: as Plaid wrote it, with sensitive fields masked. A removed row as it was last.",
  ),
  history: described(z.boolean(), "Part of the first sync: the data is older than the link to Tartan, and no news."),
  integration_id: orNull(integrationId),
  item_id: orNull(itemId),
  user_id: orNull(userId),
  subject: anyObject("What the row belongs to where that is no Item: `kind` and `id`; else absent.").optional(),
  event_id: eventId,
  account_id: described(
    z.string().nullable().optional(),
    "Of `erased` only: the account whose rows alone were erased; null where all of the Item's were.",
  ),
  run_id: described(z.string().optional(), "The sync that found it; absent of `erased`."),
  occurred_at: timestamp("When the mirror changed."),
});

const example = {
  event_id: "evt_019a9ae07a4d7c35a2f0b5ad6c9f3e21",
  occurred_at: "2026-11-20T17:03:29.512Z",
  integration_id: "svi_7p3k2v9q4m1x8c5b6n0dz3wfrt",
  item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
  user_id: "user_42",
  history: false,
  run_id: "run_019a9ae07a4c7a00b8f1c2d3e4f50617",
  change: "modified",
  resource: "transactions",
  key: {
    item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
    transaction_id: "lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDje",
  },
  row: { transaction_id: "lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDje", amount: 28.34, pending: false },
} as const;

const ChangePage = z
  .object({
    data: described(z.array(Change), "Changes, the oldest first."),
    has_more: described(z.boolean(), HAS_MORE),
    next_cursor: described(
      z.string(),
      "Pass it as `cursor` for later changes; it is present even if there are no changes yet.",
    ),
  })
  .meta({ description: "A page of changes.", examples: [{ data: [example], has_more: false, next_cursor: CURSOR }] });

const LIST = {
  ...about("Events", {
    operationId: "listChanges",
    summary: "Fetch changed rows",
    description:
      "Rows of the mirror that were added, modified or removed after a cursor, in the order in which the mirror changed; those of a first " +
      "sync too, with `history`. Apply them by `key` to keep a copy of the mirror elsewhere: to begin, take the `next_cursor` of `cursor=now`, then copy " +
      "the tables, then apply the changes after that cursor; to apply a change twice does no harm. Store `next_cursor` together with what " +
      "you applied. A page may be empty although there are changes behind its cursor: as long as `has_more` is true, ask again at once. A cursor behind which changes are no longer kept is refused " +
      "with 410 and `cursor_expired`: make a new copy.",
  }),
  querystring: ChangesQuery,
  response: { 200: ChangePage, ...refusals(410) },
};

const ChangeResources = z
  .object({
    data: z.array(
      z.object({
        resource: described(z.string(), "A table of the mirror, in schema `plaid`."),
        key: described(
          z.array(z.string()),
          "The columns of its primary key behind `integration_id`, as `key` of a change has them.",
        ),
        event: described(
          z.string().nullable(),
          "The type of the events with its changed rows; null where there is none.",
        ),
        not_fed: described(z.string().nullable(), "Why it has no changes, and what to use instead; null where it has."),
      }),
    ),
  })
  .meta({
    id: "ChangeResources",
    description: "The tables of the mirror.",
    examples: [
      {
        data: [
          {
            resource: "transactions",
            key: ["item_id", "transaction_id"],
            event: "transactions.changed",
            not_fed: null,
          },
        ],
      },
    ],
  });

const RESOURCES = {
  ...about("Events", {
    operationId: "listChangeResources",
    summary: "List tables and their changes",
    description: "All tables of the mirror: the key of each, and whether it has changes.",
  }),
  response: { 200: ChangeResources, ...refusals() },
};
