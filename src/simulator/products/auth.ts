/**
 * The account numbers of an Item: for each account that money can be moved to, those of the payment network of its country (ACH
 * in the United States, EFT in Canada, IBAN and BACS in the United Kingdom). The users of the Sandbox have its numbers.
 *
 * An account whose verification by micro-deposits has expired has no numbers until it is verified.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import type { Item } from "../item.ts";
import { noAccountsOf } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { changeFields, countField, type ProductBook, type Scene } from "./product-book.ts";

/** the numbers of one account, in all networks */
export interface Numbers {
  readonly account: Account;
  number: string;
  /** of ACH: the bank; of EFT: the branch; of BACS: the bank and the branch */
  routing: string;
  readonly tokenized: boolean;
}

export interface AuthState {
  list: Numbers[];
}

/** account ids; of the modified and removed ones also what changed */
export interface AuthChange {
  added: string[];
  modified: Record<string, Part[]>;
  removed: Record<string, Part[]>;
}

type Part = "ACCOUNT_NUMBER" | "ROUTING_NUMBER";
const NETWORKS = ["ach", "eft", "international", "bacs"] as const;
type Network = (typeof NETWORKS)[number];

const input = z.strictObject({
  ...changeFields,
  /** accounts whose numbers become known */
  add: countField,
  /** another account number, or another bank number after a merger */
  modify: countField,
  remove: countField,
});

const PAYABLE = ["checking", "savings", "cash management"];
const SANDBOX_ROUTING = "011401533";
const SANDBOX_WIRE_ROUTING = "021000021";

export const auth: ProductBook<AuthState, typeof input, AuthChange> = {
  name: "auth",
  product: "auth",
  nothing: { numbers: { ach: [], eft: [], international: [], bacs: [] } },
  lacking: (accounts) => (accounts.some(isPayable) ? null : noAccountsOf("auth")),
  make: (scene) => ({ list: scene.accounts.filter(isPayable).map((account) => draw(account, scene)) }),
  truth: ({ list }, item) => ({ numbers: numbersObject(list, item) }),
  input,
  change,
  calm: (random) => ({ add: 0, modify: random.chance(0.1) ? 1 : 0, remove: 0, webhooks: true }),
  dropAccount(state, account) {
    const gone = state.list.filter((one) => one.account === account);
    state.list = state.list.filter((one) => one.account !== account);
    return { added: [], modified: {}, removed: bothOf(gone) };
  },
  everything: ({ list }) => ({ added: list.map(idOf), modified: {}, removed: {} }),
  notice({ added, modified, removed }) {
    const updated = { ...modified, ...removed };
    return added.length + Object.keys(updated).length === 0 ? null : defaultUpdate(added, updated);
  },
  readyMade(kind, state) {
    if (kind !== "AUTH/DEFAULT_UPDATE") return null;
    const some = (state()?.list ?? []).slice(0, 1);
    return defaultUpdate([], Object.fromEntries(some.map((one) => [idOf(one), ["ACCOUNT_NUMBER"]])));
  },
};

const defaultUpdate = (added: readonly string[], updated: Readonly<Record<string, Part[]>>): WebhookNotice => ({
  type: "AUTH",
  code: "DEFAULT_UPDATE",
  fields: { account_ids_with_new_auth: added, account_ids_with_updated_auth: updated, error: null },
});

const idOf = ({ account }: Numbers): string => account.id;

const bothOf = (list: readonly Numbers[]): Record<string, Part[]> =>
  Object.fromEntries(list.map((one) => [idOf(one), ["ACCOUNT_NUMBER", "ROUTING_NUMBER"]]));

export const isPayable = ({ kind }: Account): boolean => kind.type === "depository" && PAYABLE.includes(kind.subtype);

/** Plaid's AuthGetNumbers; an account whose verification expired has none. */
export function numbersObject(list: readonly Numbers[], item: Item): Record<Network, Record<string, unknown>[]> {
  const known = list.filter(({ account }) => account.verification !== "verification_expired");
  const within = (network: Network) => known.filter((one) => networksOf(one.account, item).includes(network));
  return {
    ach: within("ach").map(achObject),
    bacs: within("bacs").map((one) => ({
      account: one.number,
      account_id: idOf(one),
      sort_code: one.account.override?.numbers?.bacs_sort_code ?? one.routing,
    })),
    eft: within("eft").map((one) => ({
      account: one.number,
      account_id: idOf(one),
      branch: one.account.override?.numbers?.eft_branch ?? one.routing,
      institution: one.account.override?.numbers?.eft_institution ?? "021",
    })),
    international: within("international").map((one) => ({
      account_id: idOf(one),
      bic: one.account.override?.numbers?.international_bic ?? "NWBKGB21",
      iban: one.account.override?.numbers?.international_iban ?? ibanOf(one),
    })),
  };
}

/** The networks that the configuration of `user_custom` has numbers of; else those of the bank's country. */
function networksOf({ override }: Account, { institution: { country_codes: countries } }: Item): Network[] {
  const { ach_routing, eft_branch, international_iban, bacs_sort_code } = override?.numbers ?? {};
  const numbers = { ach: ach_routing, eft: eft_branch, international: international_iban, bacs: bacs_sort_code };
  const configured = NETWORKS.filter((network) => numbers[network] !== undefined);
  if (configured.length > 0) return configured;
  if (countries.includes("US")) return ["ach"];
  return countries.includes("CA") ? ["eft"] : ["international", "bacs"];
}

const achObject = (one: Numbers): Record<string, unknown> => ({
  account: one.number,
  account_id: idOf(one),
  // Money cannot be moved to a tokenized savings account.
  can_transfer_in: !(one.tokenized && one.account.kind.subtype === "savings"),
  can_transfer_out: true,
  is_tokenized_account_number: one.tokenized,
  routing: one.routing,
  wire_routing: one.account.override?.numbers?.ach_wire_routing ?? (one.tokenized ? null : SANDBOX_WIRE_ROUTING),
});

/** An IBAN with valid check digits (ISO 13616): the letters count as numbers, and the whole leaves 1 when divided by 97. */
function ibanOf({ routing, number }: Numbers): string {
  const inside = `NWBK${routing}${number}`;
  const digits = [...`${inside}GB00`].map((sign) => Number.parseInt(sign, 36)).join("");
  return `GB${String(98n - (BigInt(digits) % 97n)).padStart(2, "0")}${inside}`;
}

function draw(account: Account, scene: Scene): Numbers {
  const drawn = drawNumbers(account, scene);
  const { account: number, ach_routing, eft_branch, bacs_sort_code } = account.override?.numbers ?? {};
  const routing = ach_routing ?? eft_branch ?? bacs_sort_code ?? drawn.routing;
  return { ...drawn, number: number ?? drawn.number, routing };
}

function drawNumbers(account: Account, { item, random }: Scene): Numbers {
  const countries = item.institution.country_codes;
  const mask = account.kind.mask ?? "9002";
  if (item.plan.username !== "controlled" && countries.includes("US"))
    return { account, number: `111122223333${mask}`, routing: SANDBOX_ROUTING, tokenized: false };
  const [first, last] = countries.includes("US") ? [8, mask] : countries.includes("CA") ? [3, mask] : [4, mask];
  const number = digitsOf(random, first) + last;
  return { account, number, routing: routingFor(item, random), tokenized: item.institution.oauth };
}

function routingFor({ institution }: Item, random: Random): string {
  if (institution.country_codes.includes("US")) {
    return institution.routing_numbers.length > 0 ? random.pick(institution.routing_numbers) : SANDBOX_ROUTING;
  }
  return digitsOf(random, institution.country_codes.includes("CA") ? 5 : 6);
}

const digitsOf = (random: Random, length: number): string =>
  Array.from({ length }, () => String(random.below(10))).join("");

function change(state: AuthState, request: z.output<typeof input>, scene: Scene): AuthChange {
  const { random } = scene;
  const meant = (account: Account) => request.account_id === undefined || account.id === request.account_id;
  const mine = () => state.list.filter((one) => meant(one.account));
  const before = new Set(state.list.map((one) => one.account));
  const gone = random.sample(mine(), request.remove);
  state.list = state.list.filter((one) => !gone.includes(one));
  const modified = random.sample(mine(), request.modify).map((one) => [idOf(one), renumber(one, random)]);
  const unknown = scene.accounts.filter((account) => isPayable(account) && meant(account) && !before.has(account));
  const added = random.sample(unknown, request.add).map((account) => draw(account, scene));
  state.list.push(...added);
  return { added: added.map(idOf), modified: Object.fromEntries(modified), removed: bothOf(gone) };
}

/** Another number of the same length. */
function renumber(one: Numbers, random: Random): Part[] {
  const field = random.chance(0.8) ? "number" : "routing";
  one[field] = otherDigits(one[field], random);
  return [field === "number" ? "ACCOUNT_NUMBER" : "ROUTING_NUMBER"];
}

/** The same text with another fourth digit. */
const otherDigits = (before: string, random: Random): string =>
  before.slice(0, 3) + String((Number(before[3]) + random.between(1, 9)) % 10) + before.slice(4);
