/**
 * The ledger of a client's transfer events (https://plaid.com/docs/api/products/transfer/reading-transfers/#transfereventsync): each
 * event has the next number, and is never changed. Its one webhook says only that there are more.
 */
import { z } from "zod";
import { momentText } from "../days.ts";
import { invalidField } from "../plaid-error.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { onlyRecord } from "./changes.ts";
import { recordBook, type SimRecord } from "./record-book.ts";
import { amountText } from "./transfer-shapes.ts";

/** Plaid's TransferEvent. That of a sweep of the ledger has an empty `transfer_id`, and neither an account nor a transfer's amount. */
export interface TransferEvent {
  event_id: number;
  timestamp: string;
  event_type: string;
  account_id?: string;
  funding_account_id: string | null;
  transfer_id: string;
  origination_account_id: string | null;
  transfer_type?: "debit" | "credit";
  transfer_amount?: string;
  failure_reason: FailureReason | null;
  sweep_id: string | null;
  sweep_amount: string | null;
  refund_id: string | null;
  originator_client_id: string | null;
}

export interface FailureReason {
  failure_code?: string | null | undefined;
  ach_return_code?: string | null | undefined;
  description?: string | undefined;
}

export interface Ledger {
  events: TransferEvent[];
  lastId: number;
}

/** More events than a client can have read in the second that a kill loses. */
const LOST_AT_MOST = 10_000;

export const transferLedger = recordBook<Ledger>()({
  kind: "transfer_ledger",
  only: "all",
  id: () => "all",
  making: {},
  make: () => ({ events: [], lastId: 0 }),
  changing: {
    /** announces the ledger although nothing was added */
    announce: z.literal(true).optional(),
    /** sweeps this much to the funding account */
    sweep: amountText.optional(),
  },
  change({ clientId, random }, { announce, sweep }, sim) {
    if (sweep !== undefined) addEvent(sim, clientId, sweepEvent(random.uuid(), sweep));
    return announce || sweep !== undefined ? eventsUpdate() : null;
  },
  calm: () => null,
  truth: ({ state }) => ({ transfer_ledger: { transfer_events: state.events, has_more: false } }),
  recover: ({ state }) => void (state.lastId += LOST_AT_MOST),
  unknown: () => invalidField("this client has no ledger"),
});

export const ledgerOf = (sim: Simulation, clientId: string): SimRecord<Ledger> =>
  onlyRecord(sim, transferLedger, clientId);

const sweepEvent = (sweepId: string, amount: string): Omit<TransferEvent, "event_id" | "timestamp"> => ({
  event_type: "sweep.pending",
  funding_account_id: null,
  transfer_id: "",
  origination_account_id: null,
  failure_reason: null,
  sweep_id: sweepId,
  sweep_amount: `-${amount}`,
  refund_id: null,
  originator_client_id: null,
});

/** Adds an event with the next number. */
export function addEvent(
  sim: Simulation,
  clientId: string,
  event: Omit<TransferEvent, "event_id" | "timestamp">,
): TransferEvent {
  const { state } = ledgerOf(sim, clientId);
  state.lastId += 1;
  const added = { event_id: state.lastId, timestamp: momentText(sim.time.now()), ...event };
  state.events.push(added);
  return added;
}

export const eventsUpdate = (): WebhookNotice => ({ type: "TRANSFER", code: "TRANSFER_EVENTS_UPDATE", fields: {} });
