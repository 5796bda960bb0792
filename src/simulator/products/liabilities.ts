/**
 * The liabilities of an Item: at most one for each account, of one of five kinds (credit cards, mortgages, student loans, other
 * loans, lines of credit), each with fields of its own. Some banks report the balance of an account but not its terms; the account then
 * has no liability.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import { withLiability } from "../custom/liability.ts";
import { dayOf } from "../days.ts";
import { noAccountsOf } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { drawTerms, payTerms, type LiabilityKind, type Terms } from "./liability-terms.ts";
import { changeFields, countField, type ProductBook, type Scene } from "./product-book.ts";

export interface Liability {
  readonly account: Account;
  readonly kind: LiabilityKind;
  /** Plaid's fields, without account_id */
  terms: Terms;
}

export interface LiabilitiesState {
  list: Liability[];
}

/** account ids; of the modified ones also which fields changed */
export interface LiabilitiesChange {
  added: string[];
  modified: Record<string, string[]>;
  removed: Record<string, string[]>;
}

const input = z.strictObject({
  ...changeFields,
  /** accounts whose terms become known */
  add: countField,
  /** a payment and a new statement, or other terms */
  modify: countField,
  remove: countField,
});

/** Some issuers report nothing about an account. */
const UNTOLD = 0.1;

export const liabilities: ProductBook<LiabilitiesState, typeof input, LiabilitiesChange> = {
  name: "liabilities",
  product: "liabilities",
  nothing: { liabilities: liabilitiesObject([]) },
  lacking: (accounts) => (accounts.some(kindOf) ? null : noAccountsOf("liability")),
  make: (scene) => ({ list: scene.accounts.flatMap((account) => tellOf(account, scene)) }),
  truth: ({ list }) => ({ liabilities: liabilitiesObject(list) }),
  input,
  change,
  calm: (random) => ({ add: random.chance(0.1) ? 1 : 0, modify: random.below(2), remove: 0, webhooks: true }),
  dropAccount(state, account) {
    const gone = state.list.filter((one) => one.account === account);
    state.list = state.list.filter((one) => one.account !== account);
    return { added: [], modified: {}, removed: fieldsOf(gone) };
  },
  everything: ({ list }) => ({ added: list.map(idOf), modified: {}, removed: {} }),
  notice({ added, modified, removed }) {
    const updated = { ...modified, ...removed };
    return added.length + Object.keys(updated).length === 0 ? null : defaultUpdate(added, updated);
  },
  readyMade(kind, state) {
    if (kind !== "LIABILITIES/DEFAULT_UPDATE") return null;
    const some = (state()?.list ?? []).slice(0, 1);
    return defaultUpdate([], Object.fromEntries(some.map((one) => [idOf(one), ["is_overdue"]])));
  },
};

const defaultUpdate = (
  added: readonly string[],
  updated: Readonly<Record<string, readonly string[]>>,
): WebhookNotice => ({
  type: "LIABILITIES",
  code: "DEFAULT_UPDATE",
  fields: { account_ids_with_new_liabilities: added, account_ids_with_updated_liabilities: updated, error: null },
  withUser: true,
});

const idOf = ({ account }: Liability): string => account.id;

const fieldsOf = (list: readonly Liability[]): Record<string, string[]> =>
  Object.fromEntries(list.map((one) => [idOf(one), Object.keys(one.terms)]));

/** Plaid's LiabilitiesObject; a kind without liabilities is null. */
export function liabilitiesObject(list: readonly Liability[]): Record<LiabilityKind, Record<string, unknown>[] | null> {
  const of = (kind: LiabilityKind) => {
    const some = list.filter((one) => one.kind === kind).map((one) => ({ account_id: idOf(one), ...one.terms }));
    return some.length > 0 ? some : null;
  };
  return {
    credit: of("credit"),
    line_of_credit: of("line_of_credit"),
    loan: of("loan"),
    mortgage: of("mortgage"),
    student: of("student"),
  };
}

/** The kind of liability that Plaid reports for the account; null: none. */
function kindOf({ kind: { type, subtype } }: Account): LiabilityKind | null {
  if (type === "credit") return ["credit card", "paypal"].includes(subtype) ? "credit" : null;
  if (type !== "loan") return null;
  if (subtype === "mortgage" || subtype === "student") return subtype;
  return ["line of credit", "home equity"].includes(subtype) ? "line_of_credit" : "loan";
}

function tellOf(account: Account, { item, random }: Scene): Liability[] {
  const kind = kindOf(account);
  if (kind === null) return [];
  const own = streamFor(kind, random, account);
  const terms = withLiability(drawTerms(kind, own, account, dayOf(item.createdAt)), account.override?.liability);
  const untold = item.plan.username === "controlled" && own.chance(UNTOLD);
  return untold ? [] : [{ account, kind, terms }];
}

function change(state: LiabilitiesState, request: z.output<typeof input>, scene: Scene): LiabilitiesChange {
  const { random } = scene;
  const meant = (account: Account) => request.account_id === undefined || account.id === request.account_id;
  const mine = () => state.list.filter((one) => meant(one.account));
  const before = new Set(state.list.map((one) => one.account));
  const gone = random.sample(mine(), request.remove);
  state.list = state.list.filter((one) => !gone.includes(one));
  const modified = random.sample(mine(), request.modify).map((one) => [idOf(one), modify(one, scene)]);
  const silent = scene.accounts.filter((account) => meant(account) && !before.has(account));
  const added = random
    .sample(silent, silent.length)
    .flatMap((account) => known(account, scene))
    .slice(0, request.add);
  state.list.push(...added);
  return { added: added.map(idOf), modified: Object.fromEntries(modified), removed: fieldsOf(gone) };
}

function known(account: Account, { sim, random }: Scene): Liability[] {
  const kind = kindOf(account);
  return kind === null
    ? []
    : [{ account, kind, terms: drawTerms(kind, streamFor(kind, random, account), account, sim.today()) }];
}

/** Kinds that Plaid added later draw from a stream of their own, so that the terms of the others stay as they are. */
const streamFor = (kind: LiabilityKind, random: Random, account: Account): Random =>
  kind === "loan" || kind === "line_of_credit" ? random.fork(`${kind}/${account.id}`) : random;

/** Applies a month; returns the fields that changed. */
function modify(one: Liability, { sim, random }: Scene): string[] {
  const before = one.terms;
  one.terms = payTerms(one.kind, before, random, sim.today());
  return Object.keys(before).filter((field) => JSON.stringify(before[field]) !== JSON.stringify(one.terms[field]));
}
