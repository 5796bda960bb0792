/** Plaid's Institution object; logo, colour, url and status come only when asked for. */
import type { Institution } from "../catalogue/institutions.ts";

// One transparent pixel: logos are base64 PNGs.
const LOGO = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

export interface Extra {
  optional: boolean;
  status: boolean;
  /** requests of this institution fail now */
  down?: boolean;
}

export function institutionObject(
  one: Institution,
  { optional, status, down = false }: Extra,
): Record<string, unknown> {
  return {
    country_codes: one.country_codes,
    dtc_numbers: [],
    institution_id: one.institution_id,
    ...(optional ? { logo: LOGO } : {}),
    name: one.name,
    oauth: one.oauth,
    ...(optional ? { primary_color: one.primary_color } : {}),
    products: one.products,
    routing_numbers: one.routing_numbers,
    ...(status ? { status: { item_logins: health(down, false), transactions_updates: health(down, true) } } : {}),
    ...(optional ? { url: one.url } : {}),
  };
}

const health = (down: boolean, updates: boolean): Record<string, unknown> => ({
  breakdown: {
    error_institution: down ? 0.97 : 0.02,
    error_plaid: 0.01,
    ...(updates ? { refresh_interval: down ? "STOPPED" : "NORMAL" } : {}),
    success: down ? 0.02 : 0.97,
  },
  last_status_change: "2026-01-05T08:00:00Z",
  status: down ? "DOWN" : "HEALTHY",
});
