/** /v1/items/:item_id/check: proves an Item against Plaid, row for row. */
import { z } from "zod";
import { TartanError } from "../../../errors.ts";
import { INTEGRATION_ID, ITEM_ID } from "../../../model/examples.ts";
import { described, integrationId, itemId, noTimestamp, text, timestamp } from "../../../model/schema.ts";
import { FULL_CHECK_STATUSES, getFullCheck, requestFullCheck } from "../../../sync/full-checks.ts";
import { FullCheckRequest } from "../../../sync/item.schema.ts";
import { getItem } from "../../../sync/items.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { ItemParams, noItem } from "./which-item.ts";

export function checkOperations(api: Api, { database }: ApiDeps): void {
  const find = async (id: string, integration?: string) => {
    const item = await getItem(database, id, integration);
    if (!item) throw noItem(id);
    return { integrationId: item.integration_id, itemId: item.item_id };
  };

  api.post("/v1/items/:item_id/check", { schema: START }, async ({ params, query, body }, reply) => {
    const check = await requestFullCheck(database, await find(params.item_id, query.integration_id), body);
    return reply.code(202).send(check);
  });

  api.get("/v1/items/:item_id/check", { schema: SHOW }, async ({ params, query }) => {
    const check = await getFullCheck(database, await find(params.item_id, query.integration_id));
    if (check) return check;
    throw new TartanError(
      "not_found",
      `Tartan keeps no check of Item ${params.item_id}; POST to this path to start one.`,
    );
  });
}

export const checkExample = {
  item_id: ITEM_ID,
  integration_id: INTEGRATION_ID,
  status: "differs" as const,
  requested_at: "2026-11-20T17:03:29.088Z",
  finished_at: "2026-11-20T17:03:31.500Z",
  wrong: 1,
  may_be_new: 0,
  resources: [
    { resource: "items", outcome: "equal" as const, rows: 1, wrong: 0, may_be_new: 0, error_code: null },
    { resource: "transactions", outcome: "differs" as const, rows: 148, wrong: 1, may_be_new: 0, error_code: null },
  ],
  differences: [
    {
      resource: "transactions",
      table: "transactions",
      key: "lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDje",
      difference: "differs" as const,
      may_be_new: false,
      columns: [{ column: "amount", mirror: 12.5, plaid: 21.5 }],
    },
  ],
  error_code: null,
  error_message: null,
  next_step: null,
};

const CheckedResource = z
  .object({
    resource: described(z.string(), "Such as `transactions`."),
    outcome: described(
      z.enum(["equal", "differs", "changed", "read", "absent", "failed"]),
      "`equal`: row for row. `differs`: some rows were wrong and are healed. `changed`: rows differed that Plaid may have changed since they " +
        "were read. `read`: there was nothing to compare with, such as before the first reading. `absent`: the Item lacks the " +
        "product. `failed`: it could not be read.",
    ),
    rows: described(z.number().int(), "Rows of Plaid's that were compared."),
    wrong: described(z.number().int(), "Rows that differed although Plaid had not changed them."),
    may_be_new: described(z.number().int(), "Rows that differed and that Plaid may have changed since they were read."),
    error_code: described(z.string().nullable(), "Why it could not be read."),
  })
  .meta({ id: "CheckedResource", description: "What a check found in one resource of an Item." });

const DifferingRow = z
  .object({
    resource: described(z.string(), "Such as `auth`."),
    table: described(z.string(), "The table in schema `plaid`, such as `auth_ach`."),
    key: described(z.string(), "The row's id; of several fields a JSON array."),
    difference: described(
      z.enum(["missing", "surplus", "differs"]),
      "`missing`: the mirror did not have the row. `surplus`: Plaid does not have it. `differs`: the columns did.",
    ),
    may_be_new: described(z.boolean(), "Plaid may have changed the row since it was read, so it was not wrong before."),
    columns: described(
      z.array(
        z.object({
          column: described(z.string(), "The column; or `raw.` and a field that has none."),
          mirror: described(
            z.unknown(),
            "Its value in the mirror, masked as the mirror masks it; cut at 200 characters.",
          ),
          plaid: described(z.unknown(), "Its value at Plaid, masked likewise."),
        }),
      ),
      "The columns that differed.",
    ),
  })
  .meta({ id: "DifferingRow", description: "A row that differed between the mirror and Plaid." });

const FullCheck = z
  .object({
    item_id: itemId,
    integration_id: integrationId,
    status: described(
      z.enum(FULL_CHECK_STATUSES),
      "`running`: it waits or reads. `equal`: no row was wrong. `differs`: some were, and are healed. `unproven`: something " +
        "could not be read; see `error_code`.",
    ),
    requested_at: timestamp("When it was requested."),
    finished_at: noTimestamp("When it ended; null while it runs."),
    wrong: described(z.number().int(), "Rows that differed although Plaid had not changed them. There must be none."),
    may_be_new: described(z.number().int(), "Rows that differed and that Plaid may have changed since they were read."),
    resources: described(z.array(CheckedResource), "What it found in each resource."),
    differences: described(z.array(DifferingRow), "The first 100 rows that differed, those that were wrong first."),
    error_code: described(z.string().nullable(), "Why it waits, or could not be proven."),
    error_message: described(z.string().nullable(), "The meaning of the code."),
    next_step: described(z.string().nullable(), "What to do about it; null also where it passes by itself."),
  })
  .meta({ id: "FullCheck", description: "The latest check of an Item against Plaid.", examples: [checkExample] });

const whichIntegration = z.strictObject({
  integration_id: text(100, "Which integration is meant, if several link the Item; by default the latest.").optional(),
});

const START = {
  ...about("Items", {
    operationId: "checkItem",
    summary: "Prove an Item against Plaid",
    description:
      "Reads everything of the Item again and compares each row and column with the mirror. Rows that are wrong are healed, and recorded as a " +
      "webhook of source `RECONCILER`. What changed at Plaid since the last reading does not count as wrong. Resources whose every request " +
      "Plaid bills are left out unless they are named. Ask for the result with GET.",
  }),
  params: ItemParams,
  querystring: whichIntegration,
  body: FullCheckRequest.meta({ examples: [{}] }),
  response: { 202: FullCheck, ...refusals(404, 409) },
};

const SHOW = {
  ...about("Items", {
    operationId: "getItemCheck",
    summary: "Show the check of an Item",
    description: "The latest check of the Item, while it runs and for 30 days.",
  }),
  params: ItemParams,
  querystring: whichIntegration,
  response: { 200: FullCheck, ...refusals(404) },
};
