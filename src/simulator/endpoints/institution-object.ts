/** Plaid's Institution object; logo, colour, url and status come only when asked for. */
import type { Institution } from "../catalogue/institutions.ts";
import type { Health } from "../records/issue.ts";

// One transparent pixel: logos are base64 PNGs.
const LOGO = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

export interface Extra {
  optional: boolean;
  status: boolean;
  logins?: Health;
  updates?: Health;
  incidents?: readonly Record<string, unknown>[];
}

const HEALTHY: Health = { status: "HEALTHY", success: 0.97 };

export function institutionObject(
  one: Institution,
  { optional, status, logins = HEALTHY, updates = HEALTHY, incidents = [] }: Extra,
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
    ...(status
      ? {
          status: {
            health_incidents: incidents,
            item_logins: health(logins),
            transactions_updates: health(updates, REFRESH[updates.status]),
          },
        }
      : {}),
    ...(optional ? { url: one.url } : {}),
  };
}

const REFRESH = { HEALTHY: "NORMAL", DEGRADED: "DELAYED", DOWN: "STOPPED" } as const;

const health = ({ status, success }: Health, refresh_interval?: string): Record<string, unknown> => ({
  breakdown: {
    error_institution: Math.round((0.99 - success) * 100) / 100,
    error_plaid: 0.01,
    ...(refresh_interval === undefined ? {} : { refresh_interval }),
    success,
  },
  last_status_change: "2026-01-05T08:00:00Z",
  status,
});
