/**
 * Destinations as couriers use them: their headers and secrets opened.
 */
import type { Queryable } from "../../database/types.ts";
import { destinationHeaders, signingSecret } from "../../integrations/sealed.ts";
import type { Vault } from "../../integrations/vault.ts";
import { OPEN_DESTINATIONS } from "./queries.ts";
import type { SigningScheme } from "../senders/http/signing.ts";
import type { OpenDestination, Ordering } from "../model/types.ts";

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
 * The destinations `ids`, or all, without those that were deleted.
 * @param onFault hears of those whose secrets cannot be opened; they are left out, since one that was sealed under a key
 *   which is gone must not hold up the others
 */
export async function openDestinations(
  q: Queryable,
  vault: Vault,
  ids: readonly string[] | null,
  onFault: (destinationId: string, error: unknown) => void = () => undefined,
): Promise<OpenDestination[]> {
  const { rows } = await q.query<Row>(OPEN_DESTINATIONS, [ids]);
  return rows.flatMap((row) => {
    try {
      return [opened(vault, row)];
    } catch (error) {
      onFault(row.id, error);
      return [];
    }
  });
}

function opened(vault: Vault, row: Row): OpenDestination {
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
