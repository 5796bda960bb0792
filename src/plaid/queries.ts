/**
 * Statements about Plaid's verification keys. Values are always bound.
 */
import type { Statement } from "../database/types.ts";

export const LOAD_KEYS: Statement = {
  name: "plaid_load_keys",
  text: "select kid, jwk, expired_at, fetched_at from tartan.verification_keys where plaid_url = $1",
};

export const SAVE_KEY: Statement = {
  name: "plaid_save_key",
  text: `
insert into tartan.verification_keys (plaid_url, kid, jwk, expired_at, fetched_at) values ($1, $2, $3, $4, $5)
on conflict (plaid_url, kid) do update set
  jwk = excluded.jwk, expired_at = excluded.expired_at, fetched_at = excluded.fetched_at`,
};

export const DROP_KEY: Statement = {
  name: "plaid_drop_key",
  text: "delete from tartan.verification_keys where plaid_url = $1 and kid = $2",
};
