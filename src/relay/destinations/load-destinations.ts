/** Loads destinations for delivery, with their headers and secrets unsealed. */
import type { Queryable } from "../../database/types.ts";
import type { Vault } from "../../integrations/vault.ts";
import { LOAD_DESTINATIONS } from "./queries.ts";
import { destinationHeaders, signingSecret } from "./sealed.ts";
import type { SigningScheme } from "../senders/signing.ts";
import type { LoadedDestination, Ordering } from "../model/types.ts";

interface Row {
  id: string;
  version: number;
  url: string;
  headers_sealed: Buffer | null;
  ca: string | null;
  timeout_ms: number;
  schedule: number[];
  rate_limit: number | null;
  rate_window_ms: number;
  concurrency: number;
  ordering: Ordering;
  disable_after_s: number;
  paused: boolean;
  disabled: boolean;
  key_ids: string[];
  key_schemes: SigningScheme[];
  key_secrets: Buffer[];
  key_expiries: (Date | null)[];
}

/**
 * Loads the destinations `ids`, or all, except deleted ones.
 * @param onError called for each destination whose secrets cannot be unsealed. It is left out, since one that was sealed with a
 *   lost key must not block the others
 */
export async function loadDestinations(
  q: Queryable,
  vault: Vault,
  ids: readonly string[] | null,
  onError: (destinationId: string, error: unknown) => void = () => undefined,
): Promise<LoadedDestination[]> {
  const { rows } = await q.query<Row>(LOAD_DESTINATIONS, [ids]);
  return rows.flatMap((row) => {
    try {
      return [toLoaded(vault, row)];
    } catch (error) {
      onError(row.id, error);
      return [];
    }
  });
}

function toLoaded(vault: Vault, row: Row): LoadedDestination {
  return {
    id: row.id,
    version: row.version,
    url: row.url,
    headers: row.headers_sealed === null ? {} : headersOf(vault.open(row.headers_sealed, destinationHeaders(row.id))),
    ca: row.ca,
    timeoutMs: row.timeout_ms,
    schedule: row.schedule,
    rate: row.rate_limit === null ? null : { limit: row.rate_limit, windowMs: row.rate_window_ms },
    concurrency: row.concurrency,
    ordering: row.ordering,
    disableAfterS: row.disable_after_s,
    paused: row.paused,
    disabled: row.disabled,
    keys: row.key_ids.map((id, index) => ({
      scheme: row.key_schemes[index] ?? "v1",
      secret: vault.open(row.key_secrets[index] ?? Buffer.alloc(0), signingSecret(id)),
      expiresAt: row.key_expiries[index] ?? null,
    })),
  };
}

const headersOf = (json: string): Record<string, string> => JSON.parse(json) as Record<string, string>;
