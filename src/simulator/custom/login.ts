/**
 * What a username and password of the Sandbox mean: whose accounts the Item has, or which error its login ends with.
 * `user_custom` has its configuration as the password; `error_<CODE>` as the password of `user_good` ends in that error.
 */
import type { z } from "zod";
import type { Username } from "../history.ts";
import { invalidLinkToken, PlaidApiError } from "../plaid-error.ts";
import { invalidCredentials, LOGIN_ERRORS } from "./login-errors.ts";
import { customUser, type CustomUser } from "./schema.ts";

export interface Login {
  username: Username;
  /** of user_custom only */
  override: CustomUser | null;
}

/** @throws PlaidApiError the error that the login ends with; INVALID_CREDENTIALS for a configuration that is none */
export function loginOf(
  username: string | null | undefined,
  password: string | null | undefined,
  fromLink = false,
): Login {
  const forced = /^error_(\w+)$/.exec(password ?? "")?.[1];
  if (forced !== undefined) throw forcedError(forced);
  // Every other user has the accounts and the history of user_good.
  if (username === "user_transactions_dynamic") return { username, override: null };
  if (username !== "user_custom") return { username: "user_good", override: null };
  const override = configurationOf(password ?? "");
  if (override.force_error) throw forcedError(override.force_error);
  if (override.recaptcha === "bad" && fromLink) throw forcedError("RECAPTCHA_BAD");
  return { username, override };
}

function forcedError(code: string): PlaidApiError {
  if (code === "INVALID_LINK_TOKEN") return invalidLinkToken();
  const facts = LOGIN_ERRORS[code];
  return facts ? new PlaidApiError(facts) : invalidCredentials(`the simulator has no error ${code.slice(0, 60)}`);
}

function configurationOf(password: string): CustomUser {
  let value: unknown;
  try {
    value = JSON.parse(password === "pass_good" || password === "" ? "{}" : password);
  } catch {
    throw invalidCredentials("the password of user_custom must be its configuration as JSON");
  }
  const result = customUser.safeParse(withoutNulls(value));
  if (!result.success) throw invalidCredentials(sentence(result.error.issues));
  return result.data;
}

/** The first fault, by the path of its field. */
function sentence(issues: readonly z.core.$ZodIssue[]): string {
  const [first] = issues;
  return `${first?.path.join(".") || "the configuration"}: ${first?.message ?? "is not valid"}`;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((one) => one !== null).map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const set = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(set.map(([name, member]) => [name, withoutNulls(member)]));
}
