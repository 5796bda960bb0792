/** The accounts of `user_custom`: each as its override says, and what it leaves open drawn from the seed. */
import { CHECKING, OTHERS, type AccountKind } from "../catalogue/accounts.ts";
import type { Random } from "../random.ts";
import type { AccountOverride, CustomUser } from "./schema.ts";

export interface AccountPlan {
  kind: AccountKind;
  currency: string;
  override: AccountOverride | null;
}

const TEN_THOUSANDTHS = 10_000;

/** The stream of made-up data: that of the configuration's seed, so that Items with the same seed agree, or the Item's own. */
export const dataRandom = ({ seed }: CustomUser, own: Random): Random =>
  seed === undefined ? own.fork("custom") : own.named(`user_custom/${seed}`);

export function planAccounts(user: CustomUser, data: Random, currency: string): AccountPlan[] {
  const requested = user.override_accounts ?? [];
  if (requested.length > 0) return requested.map((one, at) => planAccount(one, data.fork(`account/${at}`), currency));
  const random = data.fork("accounts");
  const kinds = [CHECKING, ...random.sample(OTHERS, random.between(1, 3))];
  return kinds.map((kind) => ({ kind: withBalance(kind, random), currency, override: null }));
}

function withBalance(kind: AccountKind, random: Random): AccountKind {
  const current = drawBalance(kind.type, random);
  const held = kind.type === "credit" ? (kind.limit ?? 0) - current : current;
  return { ...kind, current, available: kind.available === null ? null : held };
}

function planAccount(override: AccountOverride, random: Random, currency: string): AccountPlan {
  const { type, subtype, meta = {} } = override;
  const limit = meta.limit === undefined ? null : money(meta.limit);
  const drawn = worthOf(override) ?? drawBalance(type, random);
  const current = override.starting_balance === undefined ? drawn : money(override.starting_balance);
  const kind: AccountKind = {
    name: meta.name ?? `Plaid ${subtype.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase())}`,
    official_name: meta.official_name ?? null,
    type,
    subtype,
    mask: maskOf(override, random),
    available: availableOf(type, current, limit),
    current,
    limit,
    busy: type === "depository" || type === "credit",
  };
  return { kind, currency: override.currency ?? currency, override };
}

const money = (amount: number): number => Math.round(amount * TEN_THOUSANDTHS);

/** The value of the configured holdings; null without any */
const worthOf = ({ holdings }: AccountOverride): number | null =>
  holdings ? money(holdings.reduce((sum, one) => sum + one.institution_price * one.quantity, 0)) : null;

/** up to so many dollars */
const BALANCES: Record<string, [number, number]> = { credit: [100, 900], loan: [5000, 60_000] };

function drawBalance(type: string, random: Random): number {
  const [from, to] = BALANCES[type] ?? [500, 25_000];
  return random.between(from * 100, to * 100) * 100;
}

function availableOf(type: string, current: number, limit: number | null): number | null {
  if (type === "depository") return current;
  return type === "credit" && limit !== null ? limit - current : null;
}

/** Plaid shows the end of the account number, unless the configuration says something else; an empty mask is none. */
function maskOf({ meta, numbers }: AccountOverride, random: Random): string | null {
  const drawn = String(random.between(1000, 9999));
  if (meta?.mask !== undefined) return meta.mask === "" ? null : meta.mask;
  return numbers?.account?.slice(-4) ?? drawn;
}
