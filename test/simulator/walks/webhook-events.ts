import { WebhookEventDeliveryStatus as Status, type BetaWebhookEventsListRequest, type WebhookEvent } from "plaid";
import { expect } from "vitest";
import { refusal, sdkFor } from "../support/client.ts";
import type { Walk } from "./walk.ts";

const CLIENT = { client_id: "webhook_events", secret: "webhook_events_secret" };
const DAY_S = 86_400;

export const webhookEvents: Walk = {
  through: "the webhooks that were sent to it",
  async walk({ simulator, webhook, judged }) {
    const { control } = simulator;
    control.addClient(CLIENT);
    const sdk = sdkFor(simulator, { clientId: CLIENT.client_id, secret: CLIENT.secret });
    const list = async (request: BetaWebhookEventsListRequest = {}) =>
      judged("/beta/webhook_events/list", sdk.betaWebhookEventsList(request));
    const first = await list();
    expect(first).toMatchObject({ webhook_events: [], has_more: false });

    const { items } = control.createItems({ count: 2, client_id: CLIENT.client_id, webhook });
    for (const { item_id } of items) for (let n = 0; n < 3; n += 1) control.breakItem(item_id);
    control.createItems({ client_id: CLIENT.client_id, webhook: "http://127.0.0.1:9/nobody", ready: false });
    await control.advanceClock({ advance_s: 60 });

    const read: WebhookEvent[] = [];
    let cursor = first.next_cursor;
    for (let more = true; more;) {
      const page = await list({ cursor, count: 4 });
      read.push(...page.webhook_events);
      ({ next_cursor: cursor, has_more: more } = page);
    }
    expect(read.map((one) => one.sent_time)).toEqual(read.map((one) => one.sent_time).toSorted());
    expect(new Set(read.map((one) => one.webhook_message_id)).size).toBe(8);
    expect(read[0]).toMatchObject({
      delivery_status: Status.Delivered,
      last_http_status_code: 200,
      attempt_count: 1,
      destination_url: webhook,
      payload: { webhook_code: "ERROR", item_id: items[0]?.item_id },
    });
    expect(read.at(-1)).toMatchObject({ delivery_status: Status.Pending, last_http_status_code: null });
    expect((await list({ cursor })).webhook_events).toEqual([]);

    const filters = { webhook_types: ["ITEM"], item_ids: [items[1]?.item_id ?? ""], webhook_codes: ["ERROR", "X"] };
    expect((await list({ ...filters, delivery_statuses: [Status.Delivered] })).webhook_events).toHaveLength(3);
    const refused = async (request: BetaWebhookEventsListRequest) =>
      (await refusal(sdk.betaWebhookEventsList(request))).error_code;
    const start_time = control.clock().now;
    expect(await refused({ cursor, start_time })).toBe("INVALID_FIELD");
    expect((await list({ start_time })).webhook_events).toEqual([]);
    await control.advanceClock({ advance_s: 8 * DAY_S });
    expect(await refused({ cursor })).toBe("WEBHOOK_EVENTS_CURSOR_EXPIRED");
    expect(await refused({ start_time })).toBe("WEBHOOK_EVENTS_START_TIME_OUT_OF_RANGE");
    expect((await list()).webhook_events).toEqual([]);

    control.addClient({ ...CLIENT, beta: false });
    expect(await refused({})).toBe("UNAUTHORIZED_ROUTE_ACCESS");
  },
};
