/**
 * An account of an Item, and its form in Plaid's answers. Money is in ten-thousandths, so that sums stay exact.
 */
import type { AccountKind } from "./catalogue/accounts.ts";
import type { AccountOverride } from "./custom/schema.ts";
import type { Random } from "./random.ts";

export interface Account {
  readonly id: string;
  readonly kind: AccountKind;
  readonly currency: string;
  /** owed on credit accounts, held on all others */
  current: number;
  /** the sum of pending transactions since the Item was linked, positive is money out */
  held: number;
  /** live transactions on it; Plaid leaves accounts without any out of /transactions/sync */
  transactions: number;
  /** of its verification by micro-deposits; null: it never needed one */
  verification: VerificationStatus | null;
  /** what the configuration of `user_custom` says of it; every product shows what stands here */
  readonly override: AccountOverride | null;
}

/** The states that the Sandbox can put an account into. */
export const VERIFICATION_STATUSES = ["automatically_verified", "verification_expired"] as const;
export type VerificationStatus = (typeof VERIFICATION_STATUSES)[number];

export const createAccount = (
  random: Random,
  kind: AccountKind,
  currency: string,
  override: AccountOverride | null = null,
): Account => ({
  id: random.id(),
  kind,
  currency,
  current: kind.current,
  held: 0,
  transactions: 0,
  verification: null,
  override,
});

/** Adds a transaction to the balances (`sign` 1) or takes it out (-1). */
export function applyToBalance(account: Account, amount: number, pending: boolean, sign: 1 | -1): void {
  if (pending) account.held += sign * amount;
  else account.current += (account.kind.type === "credit" ? sign : -sign) * amount;
}

const money = (value: number | null): number | null => (value === null ? null : value / 10_000);

/** Plaid shows an available balance only for account kinds that have one. */
function available(account: Account): number | null {
  const { kind, current, held, override } = account;
  if (override?.has_null_available_balance) return null;
  if (override?.force_available_balance !== undefined) return Math.round(override.force_available_balance * 10_000);
  if (kind.available === null) return null;
  const start = kind.type === "credit" ? kind.current - current : current - kind.current;
  return kind.available + start - held;
}

/** Plaid's AccountBase */
export const accountObject = (account: Account): Record<string, unknown> => ({
  account_id: account.id,
  apy: account.kind.apy ?? null,
  balances: {
    available: money(available(account)),
    current: money(account.current),
    iso_currency_code: account.currency,
    limit: money(account.kind.limit),
    unofficial_currency_code: null,
  },
  holder_category: account.kind.name.includes("Business") ? "business" : "personal",
  mask: account.kind.mask,
  name: account.kind.name,
  official_name: account.kind.official_name,
  subtype: account.kind.subtype,
  type: account.kind.type,
  ...(account.verification === null ? {} : { verification_status: account.verification }),
});
