/** The fields that authorizations, transfers and recurring transfers share in Plaid's requests and answers. */
import { z } from "zod";
import type { Random } from "../random.ts";
import { digits, familyName, givenName, streetLine } from "./people.ts";

export const amountText = z.string().regex(/^\d{1,10}\.\d{2}$/, "must be a decimal with two digits, such as 12.34");
export const transferType = z.enum(["debit", "credit"]);
export const transferNetwork = z.enum(["ach", "same-day-ach", "rtp", "wire"]);
export const achClass = z.enum(["ccd", "ppd", "tel", "web"]);

const addressShape = z.looseObject({
  street: z.string().optional(),
  city: z.string().optional(),
  region: z.string().optional(),
  postal_code: z.string().optional(),
  country: z.string().optional(),
});

export const userShape = z.looseObject({
  legal_name: z.string().min(1),
  phone_number: z.string().optional(),
  email_address: z.string().optional(),
  address: addressShape.optional(),
});

/** Plaid's TransferUserInResponse */
export interface TransferUser {
  legal_name: string;
  phone_number: string | null;
  email_address: string | null;
  address: {
    street: string | null;
    city: string | null;
    region: string | null;
    postal_code: string | null;
    country: string | null;
  } | null;
}

export const userOf = ({
  legal_name,
  phone_number,
  email_address,
  address,
}: z.output<typeof userShape>): TransferUser => ({
  legal_name,
  phone_number: phone_number ?? null,
  email_address: email_address ?? null,
  address: address
    ? {
        street: address.street ?? null,
        city: address.city ?? null,
        region: address.region ?? null,
        postal_code: address.postal_code ?? null,
        country: address.country ?? null,
      }
    : null,
});

export function drawUser(random: Random): TransferUser {
  const [given, family] = [givenName(random), familyName(random)];
  return {
    legal_name: `${given} ${family}`,
    phone_number: `+1415${digits(random, 7)}`,
    email_address: `${given}.${family}@example.com`.toLowerCase(),
    address: {
      street: streetLine(random),
      city: "San Francisco",
      region: "CA",
      postal_code: "94103",
      country: "US",
    },
  };
}

export const drawAmount = (random: Random): string => (random.between(1_00, 2_000_00) / 100).toFixed(2);
