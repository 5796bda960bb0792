/**
 * What Plaid's tokens are named and look like: public tokens, link tokens, access tokens, tokens of reports. An access token opens a bank account for good
 * and a public token becomes one within 30 minutes, so neither is shown. model/cut-tokens.ts finds them in JSON.
 */

/** Replaces a token. */
export const MARK = "[cut]";

/** `public_token`, `public_tokens`, `linkToken` …: a text under such a name counts as a token, in any form. */
const TOKEN_NAME = /tokens?$/i;
/**
 * The form of Plaid's tokens: https://plaid.com/docs/api/items/#itempublic_tokenexchange, /docs/api/link/ and
 * /docs/api/products/assets/, whose tokens of audit copies begin with `a` alone and whose examples write `prod`.
 */
const TOKEN_VALUE =
  /(?:access|public|link|processor|user|assets|\ba)-(?:sandbox|development|production|prod)-[0-9a-z-]{8,}/gi;
/** Text of any kind, such as a log line, without what looks like a token of Plaid's. */
export const cutLookalikes = (text: string): string => text.replaceAll(TOKEN_VALUE, MARK);

/** Whether a field of this name holds a token. */
export const isTokenName = (name: string): boolean => TOKEN_NAME.test(name);

/** Whether a token of Plaid's stands in the text. */
export const looksLikeToken = (text: string): boolean => text.search(TOKEN_VALUE) !== -1;
