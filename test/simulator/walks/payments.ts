import { PaymentAmountCurrency, PaymentInitiationPaymentStatus } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

export const payments: Walk = {
  through: "payments and their recipients",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { recipient_id } = await judged(
      "/payment_initiation/recipient/create",
      sdk.paymentInitiationRecipientCreate({
        name: "Wonder Wallet",
        bacs: { account: "26207729", sort_code: "560029" },
        address: { street: ["4 Private Drive"], city: "London", postal_code: "SE1 0AA", country: "GB" },
      }),
    );
    const recipient = await judged(
      "/payment_initiation/recipient/get",
      sdk.paymentInitiationRecipientGet({ recipient_id }),
    );
    expect(recipient.name).toBe("Wonder Wallet");
    const { recipients } = await judged("/payment_initiation/recipient/list", sdk.paymentInitiationRecipientList({}));
    expect(recipients).toEqual([expect.objectContaining({ recipient_id })]);

    const made = await judged(
      "/payment_initiation/payment/create",
      sdk.paymentInitiationPaymentCreate({
        recipient_id,
        reference: "Order 99744",
        amount: { currency: PaymentAmountCurrency.Gbp, value: 12.34 },
        options: { request_refund_details: true, bacs: { account: "12345678", sort_code: "601613" } },
      }),
    );
    const { payment_id } = made;
    const status = PaymentInitiationPaymentStatus.Executed;
    const moved = await judged(
      "/sandbox/payment/simulate",
      sdk.sandboxPaymentSimulate({ payment_id, webhook, status }),
    );
    expect(moved).toMatchObject({ old_status: "PAYMENT_STATUS_INPUT_NEEDED", new_status: status });
    simulator.control.records.change("payment", payment_id, { status: "PAYMENT_STATUS_REJECTED", amount_refunded: 1 });
    expect(await arrived()).toEqual(Array(2).fill("PAYMENT_INITIATION/PAYMENT_STATUS_UPDATE"));

    const payment = await judged("/payment_initiation/payment/get", sdk.paymentInitiationPaymentGet({ payment_id }));
    expect(payment).toMatchObject({
      status: "PAYMENT_STATUS_REJECTED",
      amount: { value: 12.34 },
      error: { error_code: "PAYMENT_REJECTED" },
    });
    simulator.control.records.create("payment", { count: 12 });
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await judged(
        "/payment_initiation/payment/list",
        sdk.paymentInitiationPaymentList({ count: 5, cursor: cursor ?? null }),
      );
      seen.push(...page.payments.map((one) => one.payment_id));
      cursor = page.next_cursor ?? null;
    }
    expect(seen).toHaveLength(13);
    expect(seen.at(-1)).toBe(payment_id);
    const unknown = sdk.paymentInitiationPaymentGet({ payment_id: recipient_id });
    expect((await refusal(unknown)).error_code).toBe("INVALID_FIELD");
  },
};
