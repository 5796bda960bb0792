/** E-wallets (https://plaid.com/docs/api/products/virtual-accounts/#walletget). Their transactions move their balances. Money is in hundredths. */
import { z } from "zod";
import { invalidField } from "../plaid-error.ts";
import { bacsNumbers, iban } from "./people.ts";
import { recordBook, type SimRecord } from "./record-book.ts";

export const walletCurrency = z.enum(["GBP", "EUR"]);

export interface Wallet {
  currency: z.output<typeof walletCurrency>;
  /** what has settled */
  current: number;
  /** less what is on its way out */
  available: number;
  bacs: ReturnType<typeof bacsNumbers> | null;
  iban: string;
  recipientId: string;
  status: "ACTIVE" | "CLOSED";
}

export const wallet = recordBook<Wallet>()({
  kind: "wallet",
  id: (random) => `wallet-id-sandbox-${random.uuid()}`,
  making: {
    iso_currency_code: walletCurrency.default("GBP"),
    /** what it holds at first */
    balance: z.number().min(0).optional(),
  },
  make: ({ iso_currency_code: currency, balance }, { random }) => {
    const current = balance === undefined ? random.between(1_000_00, 90_000_00) : Math.round(balance * 100);
    return {
      currency,
      current,
      available: current,
      bacs: currency === "GBP" ? bacsNumbers(random) : null,
      iban: iban(random),
      recipientId: `recipient-id-sandbox-${random.uuid()}`,
      status: "ACTIVE",
    };
  },
  changing: { status: z.enum(["ACTIVE", "CLOSED"]) },
  /** Plaid sends no webhook about a wallet itself. */
  change({ state }, { status }) {
    state.status = status;
    return null;
  },
  calm: () => null,
  truth: (record) => ({ wallets: walletObject(record) }),
  unknown: () => invalidField("wallet_id must be the id of one of your wallets"),
});

/** Plaid's Wallet */
export const walletObject = ({ id, state }: SimRecord<Wallet>): Record<string, unknown> => ({
  balance: {
    available: state.available / 100,
    current: state.current / 100,
    iso_currency_code: state.currency,
  },
  numbers: {
    ...(state.bacs ? { bacs: state.bacs } : {}),
    international: { bic: "TRTNGB21", iban: state.iban },
  },
  recipient_id: state.recipientId,
  status: state.status,
  wallet_id: id,
});
