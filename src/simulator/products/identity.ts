/**
 * The owners of an Item's accounts, as the bank knows them: names, e-mail addresses, telephone numbers and postal addresses. Owners
 * have no ids at Plaid, so their order is all that tells those of a joint account apart.
 */
import { z } from "zod";
import type { Account } from "../account.ts";
import { PLACES } from "../catalogue/merchants.ts";
import { bookOf } from "../item.ts";
import type { OwnerOverride } from "../custom/schema.ts";
import type { Random } from "../random.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { changeFields, countField, type ProductBook, type Scene } from "./product-book.ts";

/** Plaid's Owner */
export interface Owner {
  readonly names: readonly string[];
  readonly phone_numbers: readonly Contact[];
  readonly emails: readonly Contact[];
  readonly addresses: readonly { data: Record<string, string | null>; primary: boolean }[];
}

interface Contact {
  data: string;
  primary: boolean;
  type: string;
}

export interface IdentityState {
  list: { readonly account: Account; owners: Owner[] }[];
}

type Part = "PHONES" | "ADDRESSES" | "EMAILS" | "NAMES";

/** owners added and removed, and for each account what changed */
export interface IdentityChange {
  added: number;
  modified: Record<string, Part[]>;
  removed: number;
}

const input = z.strictObject({
  ...changeFields,
  /** owners that join an account */
  add: countField,
  /** owners who moved, or have another number or address */
  modify: countField,
  /** owners that leave an account */
  remove: countField,
});

export const identity: ProductBook<IdentityState, typeof input, IdentityChange> = {
  name: "identity",
  product: "identity",
  nothing: { accounts: [] },
  lacking: () => null,
  make: (scene) => ({ list: scene.accounts.map((account) => ({ account, owners: ownersFor(account, scene) })) }),
  truth: (state, item) => ({
    accounts: bookOf(item).accounts.map((account) => ({ account_id: account.id, owners: ownersOf(state, account) })),
  }),
  input,
  change,
  calm: (random) => ({ add: 0, modify: random.chance(0.2) ? 1 : 0, remove: 0, webhooks: true }),
  dropAccount(state, account) {
    const gone = state.list.filter((one) => one.account === account);
    state.list = state.list.filter((one) => one.account !== account);
    const removed = gone.reduce((sum, { owners }) => sum + owners.length, 0);
    return { added: 0, modified: Object.fromEntries(gone.map(({ account: { id } }) => [id, [...ALL_PARTS]])), removed };
  },
  everything: ({ list }) => ({
    added: list.reduce((sum, { owners }) => sum + owners.length, 0),
    modified: Object.fromEntries(list.map(({ account }) => [account.id, [...ALL_PARTS]])),
    removed: 0,
  }),
  notice: ({ modified }) => (Object.keys(modified).length === 0 ? null : defaultUpdate(modified)),
  readyMade(kind, state) {
    if (kind !== "IDENTITY/DEFAULT_UPDATE") return null;
    const some = (state()?.list ?? []).slice(0, 1);
    return defaultUpdate(Object.fromEntries(some.map(({ account }) => [account.id, ["PHONES"]])));
  },
};

const ALL_PARTS: readonly Part[] = ["PHONES", "ADDRESSES", "EMAILS", "NAMES"];

const defaultUpdate = (updated: Readonly<Record<string, Part[]>>): WebhookNotice => ({
  type: "IDENTITY",
  code: "DEFAULT_UPDATE",
  fields: { account_ids_with_updated_identity: updated, error: null },
});

/** The owners of an account; none of one that the book does not know. */
export const ownersOf = ({ list }: IdentityState, account: Account): readonly Owner[] =>
  list.find((one) => one.account === account)?.owners ?? [];

/** the owner that Plaid's Sandbox shows of every account of its users */
const SANDBOX_OWNER: Owner = {
  addresses: [
    {
      data: {
        city: "Malakoff",
        country: "US",
        postal_code: "14236",
        region: "NY",
        street: "2992 Cameron Road",
      },
      primary: true,
    },
    {
      data: {
        city: "San Matias",
        country: "US",
        postal_code: "93405-2255",
        region: "CA",
        street: "2493 Leisure Lane",
      },
      primary: false,
    },
  ],
  emails: [
    { data: "accountholder0@example.com", primary: true, type: "primary" },
    { data: "accountholder1@example.com", primary: false, type: "secondary" },
    {
      data: "extraordinarily.long.email.username.123456@reallylonghostname.com",
      primary: false,
      type: "other",
    },
  ],
  names: ["Alberta Bobbeth Charleson"],
  phone_numbers: [
    { data: "2025550123", primary: false, type: "home" },
    { data: "1112224444", primary: false, type: "work" },
    { data: "1112225555", primary: false, type: "mobile" },
  ],
};

const FIRST = ["Ailsa", "Bruno", "Catriona", "Dougal", "Eilidh", "Fergus", "Grazyna", "Hamish"] as const;
const LAST = ["Abara", "Buchan", "Castro", "Drummond", "Erskine", "Fraser", "Nguyen", "Ostrowska"] as const;
const STREETS = ["Cameron Road", "Heather Lane", "Loch Street", "Thistle Avenue"] as const;

/** The owner in the configuration of `user_custom`, the Sandbox's, one that is drawn, or the two of a joint account. */
function ownersFor({ override }: Account, { item, random }: Scene): Owner[] {
  if (override?.identity) return [configured(override.identity)];
  if (item.plan.username !== "controlled") return [SANDBOX_OWNER];
  return Array.from({ length: random.chance(0.25) ? 2 : 1 }, () => drawOwner(random));
}

const configured = ({ names, phone_numbers, emails, addresses }: OwnerOverride): Owner => ({
  addresses: (addresses ?? []).map(({ data, primary }) => ({
    data: {
      city: data.city ?? null,
      country: data.country ?? null,
      postal_code: data.postal_code ?? null,
      region: data.region ?? null,
      street: data.street ?? "",
    },
    primary: primary ?? false,
  })),
  emails: (emails ?? []).map((one) => contact(one, "other")),
  names: names ?? [],
  phone_numbers: (phone_numbers ?? []).map((one) => contact(one, "home")),
});

const contact = (
  { data, primary, type }: { data: string; primary?: boolean | undefined; type?: string | undefined },
  otherwise: string,
): Contact => ({ data, primary: primary ?? false, type: type ?? otherwise });

function drawOwner(random: Random): Owner {
  const [first, last] = [random.pick(FIRST), random.pick(LAST)];
  // Some banks know no telephone number, and some no e-mail address.
  const emails = random.below(3);
  const phones = random.below(3);
  return {
    addresses: Array.from({ length: random.between(1, 2) }, (_, n) => drawAddress(random, n === 0)),
    emails: Array.from({ length: emails }, (_, n) => drawEmail(random, `${first}.${last}`.toLowerCase(), n === 0)),
    names: [`${first} ${last}`],
    phone_numbers: Array.from({ length: phones }, (_, n) => drawPhone(random, n === 0)),
  };
}

const drawEmail = (random: Random, name: string, primary: boolean): Contact => ({
  data: `${name}${random.between(1, 9999)}@example.com`,
  primary,
  type: primary ? "primary" : "other",
});

const drawPhone = (random: Random, primary: boolean): Contact => ({
  data: `+1202555${String(random.between(0, 9999)).padStart(4, "0")}`,
  primary,
  type: random.pick(["home", "work", "mobile"]),
});

function drawAddress(random: Random, primary: boolean): Owner["addresses"][number] {
  const place = random.pick(PLACES);
  const known = !random.chance(0.1);
  return {
    data: {
      city: known ? place.city : null,
      country: known ? "US" : null,
      postal_code: known ? String(random.between(10_000, 99_999)) : null,
      region: known ? place.region : null,
      street: `${random.between(1, 9999)} ${random.pick(STREETS)}`,
    },
    primary,
  };
}

function change(state: IdentityState, request: z.output<typeof input>, scene: Scene): IdentityChange {
  const { random } = scene;
  for (const account of scene.accounts)
    if (!state.list.some((one) => one.account === account)) state.list.push({ account, owners: [] });
  const mine = state.list.filter(
    ({ account }) => request.account_id === undefined || account.id === request.account_id,
  );
  const modified: IdentityChange["modified"] = {};
  const note = (account: Account, parts: readonly Part[]) => {
    modified[account.id] = [...new Set([...(modified[account.id] ?? []), ...parts])];
  };
  const places = () => mine.flatMap((one) => one.owners.map((owner) => ({ one, owner })));
  const leaving = random.sample(places(), request.remove);
  for (const { one, owner } of leaving) {
    one.owners = one.owners.toSpliced(one.owners.indexOf(owner), 1);
    note(one.account, ALL_PARTS);
  }
  for (const { one, owner } of random.sample(places(), request.modify)) {
    const [other, part] = moved(owner, random);
    one.owners = one.owners.with(one.owners.indexOf(owner), other);
    note(one.account, [part]);
  }
  const joining = mine.length === 0 ? 0 : request.add;
  for (let left = joining; left > 0; left -= 1) {
    const one = random.pick(mine);
    one.owners = [...one.owners, drawOwner(random)];
    note(one.account, ALL_PARTS);
  }
  return { added: joining, modified, removed: leaving.length };
}

/** Another address, number or e-mail address; never the same. */
function moved(owner: Owner, random: Random): [Owner, Part] {
  const part = random.pick(["PHONES", "ADDRESSES", "EMAILS"] as const);
  if (part === "ADDRESSES") return [{ ...owner, addresses: [...owner.addresses, drawAddress(random, false)] }, part];
  if (part === "PHONES") return [{ ...owner, phone_numbers: [...owner.phone_numbers, drawPhone(random, false)] }, part];
  const name = (owner.names[0] ?? "owner").replaceAll(" ", ".").toLowerCase();
  return [{ ...owner, emails: [...owner.emails, drawEmail(random, name, false)] }, part];
}
