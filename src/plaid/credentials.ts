/**
 * Asks Plaid whether a client id and a secret are right, by the cheapest call that needs no Item. The command line
 * and the API do so before they create an integration.
 */
import { systemClock, type Clock } from "../clock.ts";
import { TartanError } from "../errors.ts";
import { createPlaidClient } from "./client.ts";
import { PlaidError } from "./errors.ts";

/** The URLs of Plaid's environments. */
export const PLAID_URLS = {
  sandbox: "https://sandbox.plaid.com",
  production: "https://production.plaid.com",
} as const;

export interface Credentials {
  client_id: string;
  secret: string;
  environment: keyof typeof PLAID_URLS;
  /** instead of the environment's own, such as a simulator's */
  plaid_url?: string | undefined;
  /** the countries of institutions; refused when the client may not ask for one of them */
  country_codes?: readonly string[] | undefined;
}

interface CheckOptions {
  timeoutMs?: number;
  clock?: Clock;
}

/** Short: a person waits for the answer. */
const TIMEOUT_MS = 15_000;

/**
 * Resolves when Plaid accepts the credentials.
 * @throws TartanError `plaid_credentials_refused` with the wrong fields; `plaid_unreachable` when Plaid does not answer
 */
export async function checkCredentials(
  { client_id: clientId, secret, environment, plaid_url, country_codes }: Credentials,
  { timeoutMs = TIMEOUT_MS, clock = systemClock }: CheckOptions = {},
): Promise<void> {
  const baseUrl = (plaid_url ?? PLAID_URLS[environment]).replace(/\/+$/, "");
  const client = createPlaidClient({ baseUrl, clientId, secret, timeoutMs, clock });
  try {
    await client.post("/institutions/get", { count: 1, offset: 0, country_codes: country_codes ?? ["US"] });
  } catch (error) {
    if (!(error instanceof PlaidError)) throw error;
    throw translate(error, environment, baseUrl);
  }
}

function translate(error: PlaidError, environment: string, baseUrl: string): TartanError {
  if (error.retryClass !== "configuration") {
    const message = `Plaid does not answer at ${baseUrl} (${error.errorType}/${error.errorCode}). Try again in a moment.`;
    return new TartanError("plaid_unreachable", message, { cause: error });
  }
  const fields = faultsOf(error, environment, baseUrl);
  const message = `Plaid refused: ${error.errorType}/${error.errorCode} (its request id: ${error.requestId ?? "unknown"}).`;
  return new TartanError("plaid_credentials_refused", message, { fields, cause: error });
}

function faultsOf({ errorType, errorCode }: PlaidError, environment: string, baseUrl: string): Record<string, string> {
  if (errorType === "NETWORK") return { plaid_url: `the server at ${baseUrl} is not Plaid's API` };
  if (errorCode === "UNAUTHORIZED_ENVIRONMENT")
    return { environment: `this Plaid client is not enabled for ${environment}; ask Plaid, or use the other one` };
  if (errorCode === "INVALID_FIELD")
    return { country_codes: "Plaid does not know one of these countries, or this client is not enabled for it" };
  const message = `must be those of ${environment} in Plaid's dashboard (Developers, Keys); each environment has a secret of its own`;
  return { client_id: message, secret: message };
}
