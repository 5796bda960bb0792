/** An integration as the receiver and sync use it, and the port that finds it. */

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

export interface Directory {
  /**
   * The integration, or null when it does not exist (any more).
   * @throws TartanError `database_unavailable` when Postgres is down and the id was never seen; `vault_unsealable`
   */
  find(id: string): Promise<KnownIntegration | null>;
}
