/**
 * The sealed columns of integrations/, with the places to which their values are bound. Other owners of sealed columns declare theirs
 * in the same form, with the statement that writes them; a rotation of the master key is given all of them.
 */

export const itemToken = (integrationId: string, itemId: string): string =>
  `tartan.items:${integrationId}:${itemId}:access_token`;
export const subjectToken = (integrationId: string, kind: string, id: string): string =>
  `tartan.registered_subjects:${integrationId}:${kind}:${id}:token`;
export const clientSecret = (integrationId: string): string => `tartan.integrations:${integrationId}:client_secret`;
export const webhookSecret = (integrationId: string): string => `tartan.integrations:${integrationId}:webhook_secret`;

export interface SealedColumn {
  table: string;
  column: string;
  /** its primary key, all text */
  key: readonly string[];
  context(key: readonly string[]): string;
  /** stores a seal, $1, where $2 still is, in the row with the key $3… */
  reseal: string;
}

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    table: "tartan.integrations",
    column: "client_secret_sealed",
    key: ["id"],
    context: ([id = ""]) => clientSecret(id),
    reseal: "update tartan.integrations set client_secret_sealed = $1 where client_secret_sealed = $2 and id = $3",
  },
  {
    table: "tartan.integrations",
    column: "webhook_secret_sealed",
    key: ["id"],
    context: ([id = ""]) => webhookSecret(id),
    reseal: "update tartan.integrations set webhook_secret_sealed = $1 where webhook_secret_sealed = $2 and id = $3",
  },
  {
    table: "tartan.items",
    column: "access_token_sealed",
    key: ["integration_id", "item_id"],
    context: ([integrationId = "", itemId = ""]) => itemToken(integrationId, itemId),
    reseal: `update tartan.items set access_token_sealed = $1
      where access_token_sealed = $2 and integration_id = $3 and item_id = $4`,
  },
  {
    table: "tartan.registered_subjects",
    column: "token_sealed",
    key: ["integration_id", "kind", "id"],
    context: ([integrationId = "", kind = "", id = ""]) => subjectToken(integrationId, kind, id),
    reseal: `update tartan.registered_subjects set token_sealed = $1
      where token_sealed = $2 and integration_id = $3 and kind = $4 and id = $5`,
  },
];
