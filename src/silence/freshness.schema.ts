/** How the freshness of integrations is listed. */
import { z } from "zod";
import { page, type FilterOf } from "../model/listing.ts";
import { namedIntegration } from "../model/schema.ts";

export const FreshnessFilter = z.strictObject({ integration_id: namedIntegration.optional(), ...page });
export type FreshnessFilter = FilterOf<typeof FreshnessFilter>;
