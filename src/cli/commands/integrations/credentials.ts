/** New credentials of an integration, from the options of `tartan integrations update`. */
import { TartanError } from "../../../errors.ts";
import type { Integration, IntegrationChange } from "../../../integrations/integrations.ts";
import { checkCredentials } from "../../../plaid/credentials.ts";

export interface CredentialFlags {
  clientId?: string;
  /** true: PLAID_SECRET holds it */
  secret?: string | true;
  check: boolean;
}

/** @throws TartanError `invalid_request` where the secret is missing */
export function credentialsIn({ clientId, secret }: CredentialFlags): Pick<IntegrationChange, "client_id" | "secret"> {
  const given = secret === true ? process.env["PLAID_SECRET"] : secret;
  if (given) return { client_id: clientId, secret: given };
  if (secret === undefined && clientId === undefined) return {};
  throw new TartanError("invalid_request", "Put the new Plaid secret into PLAID_SECRET, and add --secret.", {
    fields: { secret: "is missing; each client id has a secret of its own" },
  });
}

/** @throws TartanError `plaid_credentials_refused`, `plaid_unreachable` */
export async function checkChanged(
  { client_id, environment, plaid_url, country_codes }: Integration,
  changes: IntegrationChange,
): Promise<void> {
  const { secret } = changes;
  if (secret === undefined) return;
  const countries = changes.country_codes ?? country_codes;
  const asked = { client_id: changes.client_id ?? client_id, secret, environment, plaid_url };
  await checkCredentials({ ...asked, country_codes: countries });
}
