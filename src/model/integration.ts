/** An integration as the receiver and sync use it, and the port that finds it. */
import { TartanError } from "../errors.ts";

export const ENVIRONMENTS = ["sandbox", "production"] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

export interface KnownIntegration {
  id: string;
  environment: Environment;
  plaidUrl: string;
  clientId: string;
  secret: string;
  webhookSecret: string;
  countryCodes: string[];
  /** days of transactions to ask for when an item is initialised; null: Plaid's default, 90 */
  daysRequested: number | null;
  includeOriginalDescription: boolean;
}

/** A new, changed or deleted integration is found as it is at the latest after this time. */
export const SEEN_WITHIN_MS = 10_000;

/**
 * The port that finds integrations. Every engine promises:
 * - It has every integration from the start, so that a webhook does not wait for the store.
 * - A change is seen within SEEN_WITHIN_MS, also when nobody announces it.
 * - While the store is away, the last known integration is found.
 * - Lookups of one id at the same time are one read of the store, and made-up ids cause a bounded number of reads.
 * - An integration whose secrets cannot be opened fails alone.
 */
export interface Directory {
  /**
   * The integration, or null when it does not exist (any more).
   * @throws TartanError `database_unavailable` when the store is away and the id was never seen; `vault_unsealable`
   */
  find(id: string): Promise<KnownIntegration | null>;
}

/** The error of a request that names an integration which is not there; `field` is the field that names it. */
export const noIntegration = (id: string, field = "integration_id"): TartanError =>
  new TartanError("not_found", `There is no integration ${id}.`, { fields: { [field]: "names no integration" } });
