/** `tartan integrations show`: one integration with its settings, and its intake URL. */
import { TartanError } from "../../../errors.ts";
import { getIntegration, integrationUrl, type Integration } from "../../../integrations/integrations.ts";
import { ago, bold, cyan, sayFacts, sayJson } from "../../output/print.ts";
import { publicUrl, type Core } from "../../wiring/core.ts";

/** @throws TartanError `not_found` */
export async function found(database: Core["database"], id: string): Promise<Integration> {
  const integration = await getIntegration(database, id);
  if (integration) return integration;
  throw new TartanError("not_found", `There is no integration ${id}; see \`npx tartan integrations list\`.`);
}

export async function show({ database, config }: Core, id: string, { json }: { json?: true }): Promise<void> {
  const integration = await found(database, id);
  const url = integrationUrl(publicUrl(config), id);
  if (json) return sayJson({ ...integration, url });
  const {
    name,
    environment,
    plaid_url,
    client_id,
    country_codes,
    days_requested,
    include_original_description,
    consumer_report_permissible_purpose,
    revealed_resources,
    enabled_resources,
    masking_resources,
    revoked_data,
    adopt_items,
    link_client_name,
    link_language,
    created_at,
  } = integration;
  sayFacts({
    id,
    name: bold(name),
    "webhook URL": cyan(url),
    environment,
    plaid_url,
    client_id,
    countries: country_codes.join(" "),
    "days requested": days_requested === null ? "Plaid's default (90)" : String(days_requested),
    "original description": include_original_description ? "asked for" : "not asked for",
    "permissible purpose": consumer_report_permissible_purpose ?? "none",
    "not masked": revealed_resources.join(" ") || "nothing",
    ...(masking_resources.length > 0 && { "being masked": masking_resources.join(" ") }),
    "revoked data": revoked_data === "erase" ? "erased" : "kept",
    "new items": adopt_items ? "adopted from Plaid's LINK webhooks" : "linked by your backend",
    Link: `${link_client_name ?? "no name"}, ${link_language}`,
    "billed resources": enabled_resources.join(" ") || "not requested",
    created: ago(created_at),
  });
}
