/**
 * Every sealed column, declared once, with the place to which its values are bound.
 */

export const itemToken = (integrationId: string, itemId: string): string =>
  `tartan.items:${integrationId}:${itemId}:access_token`;
export const clientSecret = (integrationId: string): string => `tartan.integrations:${integrationId}:client_secret`;
export const webhookSecret = (integrationId: string): string => `tartan.integrations:${integrationId}:webhook_secret`;
export const destinationHeaders = (destinationId: string): string => `relay.destinations:${destinationId}:headers`;
export const signingSecret = (keyId: string): string => `relay.signing_keys:${keyId}:secret`;

export interface SealedColumn {
  table: string;
  column: string;
  /** its primary key, all text */
  key: readonly string[];
  context(key: readonly string[]): string;
}

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    table: "tartan.integrations",
    column: "client_secret_sealed",
    key: ["id"],
    context: ([id = ""]) => clientSecret(id),
  },
  {
    table: "tartan.integrations",
    column: "webhook_secret_sealed",
    key: ["id"],
    context: ([id = ""]) => webhookSecret(id),
  },
  {
    table: "tartan.items",
    column: "access_token_sealed",
    key: ["integration_id", "item_id"],
    context: ([integrationId = "", itemId = ""]) => itemToken(integrationId, itemId),
  },
  {
    table: "relay.destinations",
    column: "headers_sealed",
    key: ["id"],
    context: ([id = ""]) => destinationHeaders(id),
  },
  {
    table: "relay.signing_keys",
    column: "secret_sealed",
    key: ["id"],
    context: ([id = ""]) => signingSecret(id),
  },
];
