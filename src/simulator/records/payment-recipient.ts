/** Recipients of payments (https://plaid.com/docs/api/products/payment-initiation/#payment_initiationrecipientcreate). They stay as made. */
import { z } from "zod";
import { invalidField } from "../plaid-error.ts";
import { bacsNumbers, britishAddress, personName } from "./people.ts";
import { recordBook } from "./record-book.ts";

export interface Recipient {
  name: string;
  iban: string | null;
  bacs: Bacs | null;
  address: Record<string, unknown> | null;
}

export type Bacs = { account?: string | undefined; sort_code?: string | undefined };

export const bacsShape = z.looseObject({
  account: z.string().min(1).max(10).optional(),
  sort_code: z.string().length(6).optional(),
});

const addressShape = z.looseObject({
  street: z.array(z.string()).min(1),
  city: z.string().min(1).max(35),
  postal_code: z.string().min(1).max(16),
  country: z.string().length(2),
});

export const recipientShape = {
  name: z.string().min(1),
  iban: z.string().min(15).max(34).nullish(),
  bacs: bacsShape.nullish(),
  address: addressShape.nullish(),
};

const { name, iban, bacs, address } = recipientShape;

export const paymentRecipient = recordBook<Recipient>()({
  kind: "payment_recipient",
  id: (random) => `recipient-id-sandbox-${random.uuid()}`,
  making: { name: name.optional(), iban, bacs, address },
  make: (given, { random }) => ({
    name: given.name ?? personName(random),
    iban: given.iban ?? null,
    bacs: given.bacs ?? (given.iban ? null : bacsNumbers(random)),
    address: given.address === undefined ? britishAddress(random) : given.address,
  }),
  changing: {},
  change: () => null,
  calm: () => null,
  truth: ({ id, state }) => ({ payment_recipients: { recipient_id: id, ...state } }),
  unknown: () => invalidField("recipient_id must be the id of one of your recipients"),
});
