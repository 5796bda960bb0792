/** The user of an Item that the control makes; a login that Plaid would refuse is a refused input. */
import { loginOf, type Login } from "../custom/login.ts";
import { PlaidApiError } from "../plaid-error.ts";
import { badInput } from "./inputs.ts";

interface Wanted {
  user: string;
  password?: string | Record<string, unknown> | undefined;
}

export function loginAt({ user, password }: Wanted): Login {
  try {
    return loginOf(user, typeof password === "object" ? JSON.stringify(password) : password, true);
  } catch (error) {
    if (error instanceof PlaidApiError) throw badInput({ password: `${error.facts.code}: ${error.message}` });
    throw error;
  }
}
