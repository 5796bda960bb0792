import {
  ACHClass,
  TransferNetwork,
  TransferRecurringNetwork,
  TransferScheduleIntervalUnit,
  TransferType,
  type TransferEvent,
} from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

const user = { legal_name: "Anne Charleston", email_address: "anne@example.com", address: { city: "Boise" } };
const EVENTS = "TRANSFER/TRANSFER_EVENTS_UPDATE";

export const transfers: Walk = {
  through: "transfers, their events, recurring ones and originators",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { control } = simulator;
    const [item] = control.createItems({ products: ["auth", "transfer"] }).items;
    const { access_token, item_id } = item ?? { access_token: "", item_id: "" };
    const account_id = String(control.accounts(item_id).accounts[0]?.["account_id"]);
    const proposal = {
      access_token,
      account_id,
      user,
      type: TransferType.Debit,
      amount: "12.34",
      network: TransferNetwork.Ach,
      ach_class: ACHClass.Ppd,
    };
    const { authorization } = await judged(
      "/transfer/authorization/create",
      sdk.transferAuthorizationCreate({ ...proposal, idempotency_key: "once" }),
    );
    const again = await sdk.transferAuthorizationCreate({ ...proposal, idempotency_key: "once" });
    expect(again.data.authorization.id).toBe(authorization.id);
    const request = { access_token, account_id, authorization_id: authorization.id, description: "rent" };
    const { transfer } = await judged("/transfer/create", sdk.transferCreate(request));
    expect((await sdk.transferCreate(request)).data.transfer.id).toBe(transfer.id);
    expect(transfer).toMatchObject({ status: "pending", amount: "12.34", user: { legal_name: user.legal_name } });
    const transfer_id = transfer.id;

    const simulate = (event_type: string) => sdk.sandboxTransferSimulate({ transfer_id, event_type, webhook });
    expect((await refusal(simulate("settled"))).error_code).toBe("INVALID_FIELD");
    await judged("/sandbox/transfer/simulate", simulate("posted"));
    expect((await refusal(sdk.transferCancel({ transfer_id }))).error_code).toBe("TRANSFER_NOT_CANCELLABLE");
    await simulate("returned");
    control.records.change("transfer", transfer_id, { refund: "1.00" });
    const read = await judged("/transfer/get", sdk.transferGet({ transfer_id }));
    expect(read.transfer).toMatchObject({
      status: "returned",
      failure_reason: { ach_return_code: "R01" },
      refunds: [{ amount: "1.00", transfer_id }],
    });
    const byAuthorization = await sdk.transferGet({ authorization_id: authorization.id });
    expect(byAuthorization.data.transfer).toEqual(read.transfer);

    const [other] = control.records.create("transfer", { network: "wire" }).records;
    await judged("/transfer/cancel", sdk.transferCancel({ transfer_id: other?.id ?? "" }));
    const { transfers } = await judged("/transfer/list", sdk.transferList({ count: 1, offset: 1 }));
    expect(transfers.map(({ id }) => id)).toEqual([transfer_id]);

    control.records.change("transfer_ledger", "all", { sweep: "5.00" });
    const events: TransferEvent[] = [];
    for (let more = true; more;) {
      const after_id = events.at(-1)?.event_id ?? 0;
      const page = await judged("/transfer/event/sync", sdk.transferEventSync({ after_id, count: 2 }));
      events.push(...page.transfer_events);
      more = page.has_more;
    }
    expect(events.map((one) => [one.event_id, one.transfer_id === transfer_id, one.event_type])).toEqual([
      [1, true, "pending"],
      [2, true, "posted"],
      [3, true, "returned"],
      [4, true, "refund.pending"],
      [5, false, "pending"],
      [6, false, "cancelled"],
      [7, false, "sweep.pending"],
    ]);
    expect(events.at(-1)).toMatchObject({ transfer_id: "", sweep_amount: "-5.00" });
    const listed = await judged("/transfer/event/list", sdk.transferEventList({ transfer_id, count: 3 }));
    expect([listed.has_more, listed.transfer_events[0]?.event_id]).toEqual([true, 4]);
    await judged("/sandbox/transfer/fire_webhook", sdk.sandboxTransferFireWebhook({ webhook }));
    expect(await arrived()).toEqual(Array(8).fill(EVENTS));

    const { recurring_transfer } = await judged(
      "/transfer/recurring/create",
      sdk.transferRecurringCreate({
        access_token,
        account_id,
        user,
        amount: "5.00",
        description: "gym",
        idempotency_key: "gym",
        type: TransferType.Credit,
        network: TransferRecurringNetwork.Rtp,
        schedule: {
          interval_unit: TransferScheduleIntervalUnit.Week,
          interval_count: 1,
          interval_execution_day: 2,
          start_date: (await control.advanceClock({ advance_s: 0 })).now.slice(0, 10),
        },
        device: {
          ip_address: "127.0.0.1",
          user_agent: "walk",
        },
      }),
    );
    const recurring_transfer_id = recurring_transfer?.recurring_transfer_id ?? "";
    await control.advanceClock({ advance_s: 8 * 86_400 });
    control.records.change("recurring_transfer", recurring_transfer_id, { happens: "skip" });
    await judged("/transfer/recurring/cancel", sdk.transferRecurringCancel({ recurring_transfer_id }));
    const ended = await judged("/transfer/recurring/get", sdk.transferRecurringGet({ recurring_transfer_id }));
    expect(ended.recurring_transfer).toMatchObject({ status: "cancelled", next_origination_date: null });
    expect(ended.recurring_transfer.transfer_ids).toHaveLength(2);
    const made = await sdk.transferGet({ transfer_id: ended.recurring_transfer.transfer_ids[0] ?? "" });
    expect(made.data.transfer).toMatchObject({ recurring_transfer_id, amount: "5.00", network: "rtp" });
    expect((await judged("/transfer/recurring/list", sdk.transferRecurringList({}))).recurring_transfers).toHaveLength(
      1,
    );

    const { originator_client_id } = await judged(
      "/transfer/originator/create",
      sdk.transferOriginatorCreate({ company_name: "Marketplace of Caesarea" }),
    );
    const transfer_diligence_status = "more_information_required";
    control.records.change("originator", originator_client_id, { transfer_diligence_status });
    const found = await judged("/transfer/originator/get", sdk.transferOriginatorGet({ originator_client_id }));
    expect(found.originator).toMatchObject({ company_name: "Marketplace of Caesarea", transfer_diligence_status });
    await judged("/transfer/originator/list", sdk.transferOriginatorList({}));
    // They are sent at once, so that they arrive in any order.
    expect((await arrived()).slice(8).toSorted()).toEqual([
      "TRANSFER/PLATFORM_ONBOARDING_UPDATE",
      "TRANSFER/RECURRING_CANCELLED",
      "TRANSFER/RECURRING_NEW_TRANSFER",
      "TRANSFER/RECURRING_NEW_TRANSFER",
      "TRANSFER/RECURRING_TRANSFER_SKIPPED",
      EVENTS,
      EVENTS,
    ]);
  },
};
