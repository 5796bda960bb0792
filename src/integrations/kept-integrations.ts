/** The integrations as they are kept on disk: their rows, with the sealed columns as Postgres has them. */
import { z } from "zod";
import { ENVIRONMENTS, type Environment } from "../model/integration.ts";

export interface IntegrationRow {
  id: string;
  environment: Environment;
  plaid_url: string;
  client_id: string;
  client_secret_sealed: Buffer;
  webhook_secret_sealed: Buffer;
  country_codes: string[];
  days_requested: number | null;
  include_original_description: boolean;
}

const KeptIntegration = z.object({
  id: z.string(),
  environment: z.enum(ENVIRONMENTS),
  plaid_url: z.string(),
  client_id: z.string(),
  client_secret_sealed: z.base64(),
  webhook_secret_sealed: z.base64(),
  country_codes: z.array(z.string()),
  days_requested: z.number().nullable(),
  include_original_description: z.boolean(),
});

export type KeptIntegration = z.infer<typeof KeptIntegration>;

export const KeptIntegrations = z.array(KeptIntegration);

/** In the order of their ids, so that equal integrations are equal text. */
export const toKept = (rows: Iterable<IntegrationRow>): KeptIntegration[] =>
  [...rows]
    .map((row) => ({
      id: row.id,
      environment: row.environment,
      plaid_url: row.plaid_url,
      client_id: row.client_id,
      client_secret_sealed: row.client_secret_sealed.toString("base64"),
      webhook_secret_sealed: row.webhook_secret_sealed.toString("base64"),
      country_codes: row.country_codes,
      days_requested: row.days_requested,
      include_original_description: row.include_original_description,
    }))
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));

export const fromKept = (kept: readonly KeptIntegration[]): IntegrationRow[] =>
  kept.map((row) => ({
    ...row,
    client_secret_sealed: Buffer.from(row.client_secret_sealed, "base64"),
    webhook_secret_sealed: Buffer.from(row.webhook_secret_sealed, "base64"),
  }));
