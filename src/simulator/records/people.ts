/** Names, addresses and bank accounts of people and businesses that do not exist, from a record's random stream. */
import type { Random } from "../random.ts";

const GIVEN = [
  "Alma",
  "Bruno",
  "Chiara",
  "Dmitri",
  "Esther",
  "Felix",
  "Greta",
  "Hugo",
  "Ines",
  "Jonas",
  "Klara",
  "Luis",
];
const FAMILY = [
  "Abbott",
  "Byrne",
  "Castillo",
  "Dahl",
  "Eriksson",
  "Fischer",
  "Greco",
  "Hale",
  "Ito",
  "Jansen",
  "Kovac",
];
const STREETS = ["Elm Street", "Harbour Road", "King Street", "Mill Lane", "Orchard Way", "Station Road"];
const TOWNS = [
  { city: "London", postal_code: "EC1A 1BB", country: "GB" },
  { city: "Leeds", postal_code: "LS1 4DY", country: "GB" },
  { city: "Cardiff", postal_code: "CF10 1EP", country: "GB" },
] as const;

export const givenName = (random: Random): string => random.pick(GIVEN);
export const familyName = (random: Random): string => random.pick(FAMILY);
export const personName = (random: Random): string => `${givenName(random)} ${familyName(random)}`;

export const digits = (random: Random, length: number): string =>
  Array.from({ length }, () => String(random.below(10))).join("");

export const streetLine = (random: Random): string => `${random.between(1, 180)} ${random.pick(STREETS)}`;

/** Plaid's PaymentInitiationAddress */
export const britishAddress = (random: Random) => ({ street: [streetLine(random)], ...random.pick(TOWNS) });

/** Plaid's RecipientBACS */
export const bacsNumbers = (random: Random) => ({ account: digits(random, 8), sort_code: digits(random, 6) });

export const iban = (random: Random): string => `GB${digits(random, 2)}TRTN${digits(random, 14)}`;

/** a sum of money with two decimals */
export const money = (random: Random, from: number, to: number): number => random.between(from * 100, to * 100) / 100;
