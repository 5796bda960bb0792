import { PaymentAmountCurrency, WalletISOCurrencyCode } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

const GBP = PaymentAmountCurrency.Gbp;
const STATUS = "WALLET/WALLET_TRANSACTION_STATUS_UPDATE";

export const wallets: Walk = {
  through: "consents to payments, e-wallets and their transactions",
  async walk({ sdk, simulator, judged, arrived }) {
    const { control } = simulator;
    const recipient = { name: "Wonder Wallet", iban: "GB33BUKB20201555555555" };
    const { recipient_id } = (await sdk.paymentInitiationRecipientCreate(recipient)).data;
    const { consent_id } = await judged(
      "/payment_initiation/consent/create",
      sdk.paymentInitiationConsentCreate({
        recipient_id,
        reference: "Sweep",
        constraints: {
          max_payment_amount: { currency: GBP, value: 15 },
          periodic_amounts: [
            { amount: { currency: GBP, value: 40 }, interval: "MONTH" as never, alignment: "CALENDAR" as never },
          ],
        },
      }),
    );
    const execute = (value: number) =>
      sdk.paymentInitiationConsentPaymentExecute({
        consent_id,
        amount: { currency: GBP, value },
        idempotency_key: String(value),
      });
    expect((await refusal(execute(5))).error_code).toBe("INVALID_FIELD");
    control.records.change("payment_consent", consent_id, { status: "AUTHORISED" });
    expect((await refusal(execute(16))).error_code).toBe("INVALID_FIELD");
    const { payment_id } = await judged("/payment_initiation/consent/payment/execute", execute(15));
    const { payments } = (await sdk.paymentInitiationPaymentList({ consent_id })).data;
    expect(payments.map((one) => one.payment_id)).toEqual([payment_id]);
    await judged("/payment_initiation/consent/revoke", sdk.paymentInitiationConsentRevoke({ consent_id }));
    const consent = await judged("/payment_initiation/consent/get", sdk.paymentInitiationConsentGet({ consent_id }));
    expect(consent).toMatchObject({ status: "REVOKED", reference: "Sweep" });
    expect(await arrived()).toEqual(Array(2).fill("PAYMENT_INITIATION/CONSENT_STATUS_UPDATE"));

    const iso_currency_code = WalletISOCurrencyCode.Gbp;
    const { wallet_id } = await judged("/wallet/create", sdk.walletCreate({ iso_currency_code }));
    control.records.create("wallet", { iso_currency_code: "EUR" });
    const payIn = { wallet_id, type: "PIS_PAY_IN", amount: { iso_currency_code: "GBP", value: 100 } } as const;
    const [paidIn] = control.records.create("wallet_transaction", payIn).records;
    control.records.change("wallet_transaction", paidIn?.id ?? "", { status: "SETTLED" });
    const pay = (value: number, idempotency_key: string) =>
      sdk.walletTransactionExecute({
        wallet_id,
        idempotency_key,
        amount: { iso_currency_code, value },
        reference: "Payout 1",
        counterparty: { name: "Ines Hale", numbers: { bacs: { account: "12345678", sort_code: "123456" } } },
      });
    expect((await refusal(pay(101, "much"))).error_code).toBe("TRANSACTION_INSUFFICIENT_FUNDS");
    const { transaction_id } = await judged("/wallet/transaction/execute", pay(60.5, "once"));
    expect((await pay(60.5, "once")).data.transaction_id).toBe(transaction_id);
    expect((await sdk.walletGet({ wallet_id })).data.balance).toMatchObject({ current: 100, available: 39.5 });
    control.records.change("wallet_transaction", transaction_id, { status: "FAILED" });
    const found = await judged("/wallet/transaction/get", sdk.walletTransactionGet({ transaction_id }));
    expect(found).toMatchObject({ status: "FAILED", failure_reason: "EXTERNAL_SYSTEM", wallet_id });
    expect((await judged("/wallet/get", sdk.walletGet({ wallet_id }))).balance.available).toBe(100);
    const page = await judged("/wallet/transaction/list", sdk.walletTransactionList({ wallet_id, count: 1 }));
    expect(page.transactions.map((one) => one.transaction_id)).toEqual([transaction_id]);
    const rest = await sdk.walletTransactionList({ wallet_id, cursor: page.next_cursor ?? "" });
    expect(rest.data).toMatchObject({ transactions: [{ transaction_id: paidIn?.id }] });
    const { wallets: listed } = await judged("/wallet/list", sdk.walletList({ iso_currency_code }));
    expect(listed.map((one) => one.wallet_id)).toEqual([wallet_id]);
    expect((await arrived()).slice(2)).toEqual([STATUS, STATUS]);
  },
};
