/** The sealed columns of the relay, with the places that their values are bound to. */
import type { SealedColumn } from "../../integrations/sealed.ts";

export const destinationHeaders = (destinationId: string): string => `relay.destinations:${destinationId}:headers`;
export const signingSecret = (keyId: string): string => `relay.signing_keys:${keyId}:secret`;

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    table: "relay.destinations",
    column: "headers_sealed",
    key: ["id"],
    context: ([id = ""]) => destinationHeaders(id),
    reseal: "update relay.destinations set headers_sealed = $1 where headers_sealed = $2 and id = $3",
  },
  {
    table: "relay.signing_keys",
    column: "secret_sealed",
    key: ["id"],
    context: ([id = ""]) => signingSecret(id),
    reseal: "update relay.signing_keys set secret_sealed = $1 where secret_sealed = $2 and id = $3",
  },
];
