/** Names, addresses, employers and days for records about people in the United States, from a record's random stream. */
import { dayText } from "../days.ts";
import type { Random } from "../random.ts";

const GIVEN = ["Ada", "Benito", "Carmen", "Dmitri", "Elsa", "Farid", "Grace", "Hiro", "Iris", "Jamal"] as const;
const FAMILY = ["Archer", "Bell", "Castro", "Dunn", "Ellis", "Fox", "Greer", "Hale", "Irwin", "Jain"] as const;
const STREETS = ["Market Street", "Oak Avenue", "Pine Street", "River Road", "Sunset Boulevard"] as const;
const TOWNS = [
  { city: "Springfield", region: "IL", postal_code: "62704" },
  { city: "Madison", region: "WI", postal_code: "53703" },
  { city: "Tucson", region: "AZ", postal_code: "85701" },
  { city: "Richmond", region: "VA", postal_code: "23220" },
] as const;
const EMPLOYERS = [
  "Northwind Foods",
  "Platypus Labs",
  "Quarry Logistics",
  "Ridgeline Health",
  "Sunrise Books",
] as const;

export interface Person {
  given: string;
  family: string;
}

export const person = (random: Random): Person => ({ given: random.pick(GIVEN), family: random.pick(FAMILY) });
export const fullName = ({ given, family }: Person): string => `${given} ${family}`;
export const emailOf = ({ given, family }: Person): string => `${given}.${family}@example.com`.toLowerCase();
export const phoneNumber = (random: Random): string => `+1202555${String(random.between(100, 9999)).padStart(4, "0")}`;
export const employerName = (random: Random): string => random.pick(EMPLOYERS);
export const lastFour = (random: Random): string => String(random.between(1000, 9999));

/** Plaid's AddressData */
export const addressData = (random: Random) => ({
  ...random.pick(TOWNS),
  country: "US",
  street: `${random.between(1, 4200)} ${random.pick(STREETS)}`,
});

/** Plaid's Owner */
export const ownerObject = (random: Random, someone: Person) => ({
  addresses: [{ data: addressData(random), primary: true }],
  emails: [{ data: emailOf(someone), primary: true, type: "primary" }],
  names: [fullName(someone)],
  phone_numbers: [{ data: phoneNumber(random), primary: true, type: "mobile" }],
});

export const USD = { iso_currency_code: "USD", unofficial_currency_code: null };

/** from cents */
export const dollars = (cents: number): number => Math.round(cents) / 100;
export const usd = (cents: number) => ({ amount: dollars(cents), ...USD });

/** The first and last day of the calendar month that lies `back` months before the day. */
export function monthBefore(day: number, back: number): { start_date: string; end_date: string } {
  const at = new Date(day * 86_400_000);
  const first = (months: number) => Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - months, 1) / 86_400_000;
  return { start_date: dayText(first(back)), end_date: dayText(first(back - 1) - 1) };
}
