/** The sealed column of linking, with the place that its values are bound to. */
import type { SealedColumn } from "../integrations/sealed.ts";

export const linkToken = (id: string): string => `linking.watched_tokens:${id}:token`;

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    table: "linking.watched_tokens",
    column: "token_sealed",
    key: ["id"],
    context: ([id = ""]) => linkToken(id),
    reseal: "update linking.watched_tokens set token_sealed = $1 where token_sealed = $2 and id = $3",
  },
];
