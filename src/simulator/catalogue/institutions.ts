/**
 * A dozen banks. The first six carry the names and ids of Plaid's Sandbox institutions, so that code written against it
 * works here; the rest fill the list.
 */
export interface Institution {
  institution_id: string;
  name: string;
  url: string;
  primary_color: string;
  country_codes: readonly string[];
  routing_numbers: readonly string[];
  oauth: boolean;
  products: readonly string[];
}

const PRODUCTS = [
  "assets",
  "auth",
  "balance",
  "identity",
  "investments",
  "liabilities",
  "recurring_transactions",
  "statements",
  "transactions",
] as const;

const bank = (
  institution_id: string,
  name: string,
  site: string,
  primary_color: string,
  more: Partial<Institution> = {},
): Institution => ({
  institution_id,
  name,
  url: `https://${site}`,
  primary_color,
  country_codes: ["US"],
  routing_numbers: [],
  oauth: false,
  products: PRODUCTS,
  ...more,
});

export const INSTITUTIONS: readonly [Institution, ...Institution[]] = [
  bank("ins_109508", "First Platypus Bank", "firstplatypus.example", "#1f1f1f", { routing_numbers: ["110000000"] }),
  bank("ins_109509", "First Gingham Credit Union", "gingham.example", "#b02a30"),
  bank("ins_109510", "Tattersall Federal Credit Union", "tattersall.example", "#0b5fa5"),
  bank("ins_109511", "Tartan Bank", "tartanbank.example", "#0a4d2e", { routing_numbers: ["021000021"] }),
  bank("ins_109512", "Houndstooth Bank", "houndstooth.example", "#004966", {
    routing_numbers: ["011000138", "011200365", "011400495"],
  }),
  bank("ins_127287", "Platypus OAuth Bank", "oauth.platypus.example", "#5a2d82", { oauth: true }),
  bank("ins_900001", "Argyle Savings", "argyle.example", "#7a1f3d", { routing_numbers: ["322271627"] }),
  bank("ins_900002", "Herringbone Trust", "herringbone.example", "#2f4858"),
  bank("ins_900003", "Paisley & Sons Bank", "paisley.example", "#8c4a9e"),
  bank("ins_900004", "Seersucker Federal", "seersucker.example", "#3b7dd8", {
    products: ["auth", "balance", "transactions"],
  }),
  bank("ins_900005", "Caisse Écossaise", "ecossaise.example", "#c8102e", { country_codes: ["CA"] }),
  bank("ins_900006", "Glen Plaid Building Society", "glenplaid.example", "#14532d", {
    country_codes: ["GB", "IE"],
    oauth: true,
  }),
];

const byId = new Map(INSTITUTIONS.map((one) => [one.institution_id, one]));

export const findInstitution = (id: string): Institution | undefined => byId.get(id);
