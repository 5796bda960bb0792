/**
 * Transactions of e-wallets (https://plaid.com/docs/api/products/virtual-accounts/#wallettransactionget). Each change of status moves the
 * wallet's balance, and is announced.
 *
 *   AUTHORISING → INITIATED → EXECUTED → SETTLED; it may end as BLOCKED or FAILED, which gives the money back
 */
import { z } from "zod";
import { momentText } from "../days.ts";
import { errorObject, invalidField, PlaidApiError, type ErrorFacts } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import { makeRecord, recordOf } from "./changes.ts";
import { bacsShape } from "./payment-recipient.ts";
import { bacsNumbers, britishAddress, personName } from "./people.ts";
import { recordBook, type SimRecord } from "./record-book.ts";
import { wallet, walletCurrency, type Wallet } from "./wallet.ts";

const walletStatus = z.enum(["AUTHORISING", "INITIATED", "EXECUTED", "SETTLED", "BLOCKED", "FAILED"]);
type Status = z.output<typeof walletStatus>;

const counterpartyShape = z.looseObject({
  name: z.string().min(1),
  numbers: z.looseObject({
    bacs: bacsShape.nullish(),
    international: z.looseObject({ iban: z.string().optional() }).nullish(),
  }),
  address: z.looseObject({}).nullish(),
  date_of_birth: z.iso.date().nullish(),
});

export const executeShape = {
  wallet_id: z.string().min(1),
  counterparty: counterpartyShape,
  amount: z.strictObject({ iso_currency_code: walletCurrency, value: z.number().min(0.01) }),
  reference: z.string().min(6).max(18),
};

export interface WalletTransaction {
  walletId: string;
  counterparty: z.output<typeof counterpartyShape>;
  currency: Wallet["currency"];
  /** in hundredths */
  amount: number;
  reference: string;
  type: "PAYOUT" | "PIS_PAY_IN";
  status: Status;
  statusAt: number;
  idempotencyKey: string | null;
}

const { wallet_id, counterparty, amount, reference } = executeShape;

export const walletTransaction = recordBook<WalletTransaction>()({
  kind: "wallet_transaction",
  id: (random) => `wallet-transaction-id-sandbox-${random.uuid()}`,
  making: {
    wallet_id: wallet_id.optional(),
    counterparty: counterparty.optional(),
    amount: amount.optional(),
    reference: reference.optional(),
    type: z.enum(["PAYOUT", "PIS_PAY_IN"]).default("PAYOUT"),
    idempotency_key: z.string().max(128).optional(),
  },
  make(given, { random, clientId, createdAt }, sim) {
    const owner =
      given.wallet_id === undefined
        ? makeRecord(sim, wallet, clientId, { iso_currency_code: "GBP" }, { random: random.fork("wallet") })
        : recordOf(sim, wallet, clientId, given.wallet_id);
    const currency = given.amount?.iso_currency_code ?? owner.state.currency;
    if (currency !== owner.state.currency) throw invalidField("amount.iso_currency_code is not the wallet's currency");
    const cents = given.amount ? Math.round(given.amount.value * 100) : random.between(1_00, 900_00);
    if (given.type === "PAYOUT" && cents > owner.state.available) throw insufficient();
    const state: WalletTransaction = {
      walletId: owner.id,
      counterparty: given.counterparty ?? {
        name: personName(random),
        numbers: { bacs: bacsNumbers(random) },
        address: britishAddress(random),
      },
      currency,
      amount: cents,
      reference: given.reference ?? `Payout ${random.between(1000, 99_999)}`,
      type: given.type,
      status: "INITIATED",
      statusAt: createdAt,
      idempotencyKey: given.idempotency_key ?? null,
    };
    if (state.type === "PAYOUT") owner.state.available -= cents;
    return state;
  },
  changing: { status: walletStatus },
  change(record, { status }, sim) {
    const { state } = record;
    const old = state.status;
    if (status === old) return null;
    if (OVER.has(old)) throw invalidField(`the transaction is ${old} already`);
    state.status = status;
    state.statusAt = sim.time.now();
    settle(record, sim);
    return {
      type: "WALLET",
      code: "WALLET_TRANSACTION_STATUS_UPDATE",
      fields: {
        error: errorOf(state),
        failure_reason: failureOf(state),
        new_status: status,
        old_status: old,
        timestamp: new Date(state.statusAt).toISOString(),
        transaction_id: record.id,
        wallet_id: state.walletId,
      },
    };
  },
  calm: ({ state }, random) => {
    const next = NEXT[state.status];
    return next ? { status: next(random) } : null;
  },
  truth: (record) => ({ wallet_transactions: walletTransactionObject(record) }),
  unknown: () => invalidField("transaction_id must be the id of one of your wallets' transactions"),
});

const OVER: ReadonlySet<Status> = new Set(["SETTLED", "BLOCKED", "FAILED"]);

const NEXT: Partial<Record<Status, (random: Random) => Status>> = {
  AUTHORISING: () => "INITIATED",
  INITIATED: (random) => (random.chance(0.15) ? "FAILED" : "EXECUTED"),
  EXECUTED: () => "SETTLED",
};

/** Moves the balance of the wallet once the transaction is over. */
function settle({ clientId, state }: SimRecord<WalletTransaction>, sim: Simulation): void {
  if (!OVER.has(state.status)) return;
  const { state: held } = recordOf(sim, wallet, clientId, state.walletId);
  const settled = state.status === "SETTLED";
  if (state.type === "PAYOUT") {
    if (settled) held.current -= state.amount;
    else held.available += state.amount;
  } else if (settled) {
    held.current += state.amount;
    held.available += state.amount;
  }
}

const insufficient = () =>
  new PlaidApiError({
    type: "TRANSACTION_ERROR",
    code: "TRANSACTION_INSUFFICIENT_FUNDS",
    message: "There are insufficient funds to complete the transaction",
  });

const REJECTED: ErrorFacts = {
  type: "TRANSACTION_ERROR",
  code: "TRANSACTION_ON_EXECUTED_FAILED",
  message: "The transaction could not be completed.",
};

const failureOf = ({ status }: WalletTransaction): string | null => (status === "FAILED" ? "EXTERNAL_SYSTEM" : null);
const errorOf = ({ status }: WalletTransaction) => (status === "FAILED" ? errorObject(REJECTED) : null);

/** Plaid's WalletTransaction */
export const walletTransactionObject = ({
  id,
  createdAt,
  state,
}: SimRecord<WalletTransaction>): Record<string, unknown> => ({
  amount: { iso_currency_code: state.currency, value: state.amount / 100 },
  counterparty: state.counterparty,
  created_at: momentText(createdAt),
  error: errorOf(state),
  failure_reason: failureOf(state),
  last_status_update: momentText(state.statusAt),
  reference: state.reference,
  related_transactions: [],
  scheme: state.currency === "GBP" ? "FASTER_PAYMENTS" : "SEPA_CREDIT_TRANSFER",
  status: state.status,
  transaction_id: id,
  type: state.type,
  wallet_id: state.walletId,
});
