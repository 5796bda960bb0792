/** Options that /transactions/sync and /transactions/get share; the deprecated ones are accepted and do nothing. */
import { z } from "zod";

const shared = {
  include_original_description: z.boolean().nullish(),
  include_personal_finance_category: z.boolean().optional(),
  include_logo_and_counterparty_beta: z.boolean().optional(),
  personal_finance_category_version: z.enum(["v1", "v2"]).optional(),
  days_requested: z.int().min(1).max(730).optional(),
};

export const syncOptions = z.strictObject({ ...shared, account_id: z.string().optional() }).optional();

export const getOptions = z
  .strictObject({
    ...shared,
    include_personal_finance_category_beta: z.boolean().optional(),
    account_ids: z.array(z.string()).optional(),
    count: z.int().min(1).max(500).default(100),
    offset: z.int().min(0).default(0),
  })
  .optional();
