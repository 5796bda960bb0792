/**
 * Transfers (https://plaid.com/docs/api/products/transfer/reading-transfers/#transferget): each step of one is an event in its
 * client's ledger, and the webhook names the ledger only.
 *
 *   pending → posted → settled → funds_available (ACH debits); pending → failed or cancelled; posted or settled → returned
 */
import { z } from "zod";
import { dayText, momentText } from "../days.ts";
import { invalidField, PlaidApiError } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import { recordBook, type SimRecord } from "./record-book.ts";
import { addEvent, eventsUpdate, type FailureReason } from "./transfer-ledger.ts";
import {
  achClass,
  amountText,
  drawAmount,
  drawUser,
  transferNetwork,
  transferType,
  userOf,
  userShape,
  type TransferUser,
} from "./transfer-shapes.ts";

type Status = "pending" | "posted" | "settled" | "funds_available" | "cancelled" | "failed" | "returned";

const STEPS: Record<Status, readonly Status[]> = {
  pending: ["posted", "failed", "cancelled"],
  posted: ["settled", "returned"],
  settled: ["funds_available", "returned"],
  funds_available: ["returned"],
  cancelled: [],
  failed: [],
  returned: [],
};

const failureShape = z.looseObject({
  failure_code: z.string().nullish(),
  ach_return_code: z.string().nullish(),
  description: z.string().optional(),
});

/** the steps that the Sandbox simulates; cancelling has an endpoint of its own */
export const simulatedStep = z.enum(["posted", "settled", "failed", "funds_available", "returned"]);

interface Refund {
  id: string;
  amount: string;
  created: string;
}

export interface Transfer {
  authorizationId: string;
  accountId: string;
  fundingAccountId: string | null;
  ledgerId: string;
  type: z.output<typeof transferType>;
  network: z.output<typeof transferNetwork>;
  achClass: z.output<typeof achClass> | null;
  amount: string;
  description: string;
  user: TransferUser;
  metadata: Record<string, string> | null;
  status: Status;
  failure: FailureReason | null;
  refunds: Refund[];
  originatorClientId: string | null;
  recurringTransferId: string | null;
}

export const transfer = recordBook<Transfer>()({
  kind: "transfer",
  id: (random) => random.uuid(),
  making: {
    authorization_id: z.string().optional(),
    account_id: z.string().optional(),
    funding_account_id: z.string().nullish(),
    type: transferType.optional(),
    network: transferNetwork.optional(),
    ach_class: achClass.optional(),
    amount: amountText.optional(),
    description: z.string().min(1).max(15).optional(),
    user: userShape.optional(),
    metadata: z.record(z.string(), z.string()).nullish(),
    originator_client_id: z.string().nullish(),
    recurring_transfer_id: z.string().nullish(),
  },
  make: (given, { random }) => {
    const network = given.network ?? random.pick(["ach", "ach", "same-day-ach", "rtp"] as const);
    const isAch = network === "ach" || network === "same-day-ach";
    return {
      authorizationId: given.authorization_id ?? random.uuid(),
      accountId: given.account_id ?? random.id(),
      fundingAccountId: given.funding_account_id ?? random.uuid(),
      ledgerId: random.uuid(),
      type: given.type ?? (network === "rtp" ? "credit" : random.pick(["debit", "credit"] as const)),
      network,
      achClass: isAch ? (given.ach_class ?? "ppd") : null,
      amount: given.amount ?? drawAmount(random),
      description: given.description ?? "payment",
      user: given.user ? userOf(given.user) : drawUser(random),
      metadata: given.metadata ?? null,
      status: "pending",
      failure: null,
      refunds: [],
      originatorClientId: given.originator_client_id ?? null,
      recurringTransferId: given.recurring_transfer_id ?? null,
    };
  },
  made: (record, sim) => step(record, "pending", sim),
  changing: {
    /** the next step */
    event_type: z.enum([...simulatedStep.options, "cancelled"]).optional(),
    failure_reason: failureShape.nullish(),
    /** pays this much back */
    refund: amountText.optional(),
  },
  change(record, { event_type, failure_reason, refund }, sim) {
    const { state, random } = record;
    if (event_type !== undefined) {
      if (!possible(state, event_type)) throw impossible(state.status, event_type);
      state.status = event_type;
      state.failure = failureOf(event_type, failure_reason ?? null);
      step(record, event_type, sim);
    }
    if (refund !== undefined) {
      const made = { id: random.uuid(), amount: refund, created: momentText(sim.time.now()) };
      state.refunds.push(made);
      step(record, "refund.pending", sim, made.id);
    }
    return event_type === undefined && refund === undefined ? null : eventsUpdate();
  },
  calm: ({ state }, random) => {
    const next = NEXT[state.status]?.(random);
    return next !== undefined && possible(state, next) ? { event_type: next } : null;
  },
  truth: (record) => ({ transfers: { transfer: transferObject(record) } }),
  unknown: () => invalidField("transfer_id must be the id of one of your transfers"),
});

type Simulated = z.output<typeof simulatedStep>;

const NEXT: Partial<Record<Status, (random: Random) => Simulated>> = {
  pending: (random) => (random.chance(0.1) ? "failed" : "posted"),
  posted: (random) => (random.chance(0.1) ? "returned" : "settled"),
  settled: () => "funds_available",
};

/** Funds become available by a step of their own only for ACH debits. */
function possible({ status, type, achClass }: Transfer, next: Status): boolean {
  return STEPS[status].includes(next) && (next !== "funds_available" || (type === "debit" && achClass !== null));
}

const impossible = (status: Status, next: Status): PlaidApiError =>
  next === "cancelled"
    ? new PlaidApiError({
        type: "TRANSFER_ERROR",
        code: "TRANSFER_NOT_CANCELLABLE",
        message: "transfer cannot be cancelled",
      })
    : invalidField(`event_type ${next} cannot follow the status ${status} of this transfer`);

function failureOf(next: Status, given: FailureReason | null): FailureReason | null {
  if (next !== "failed" && next !== "returned") return null;
  return given ?? { failure_code: "R01", ach_return_code: "R01", description: "Insufficient funds" };
}

/** Adds the event of a step to the ledger; returns the webhook that says so. */
function step({ id, clientId, state }: SimRecord<Transfer>, event_type: string, sim: Simulation, refundId?: string) {
  addEvent(sim, clientId, {
    event_type,
    account_id: state.accountId,
    funding_account_id: state.fundingAccountId,
    transfer_id: id,
    origination_account_id: null,
    transfer_type: state.type,
    transfer_amount: state.amount,
    failure_reason: state.failure,
    sweep_id: null,
    sweep_amount: null,
    refund_id: refundId ?? null,
    originator_client_id: state.originatorClientId,
  });
  return eventsUpdate();
}

const SETTLES_AFTER_DAYS = 3;
const RETURN_WINDOW_DAYS = 7;
const UNAUTHORIZED_WINDOW_DAYS = 62;
const MS_PER_DAY = 86_400_000;

/** Plaid's Transfer */
export function transferObject({ id, createdAt, state }: SimRecord<Transfer>): Record<string, unknown> {
  const day = Math.floor(createdAt / MS_PER_DAY);
  const isAch = state.achClass !== null;
  return {
    id,
    authorization_id: state.authorizationId,
    ...(isAch ? { ach_class: state.achClass } : {}),
    account_id: state.accountId,
    funding_account_id: state.fundingAccountId,
    ledger_id: state.ledgerId,
    type: state.type,
    user: state.user,
    amount: state.amount,
    description: state.description,
    created: momentText(createdAt),
    status: state.status,
    sweep_status: state.type === "debit" && state.status !== "pending" ? "swept" : "unswept",
    network: state.network,
    cancellable: state.status === "pending",
    failure_reason: state.failure,
    metadata: state.metadata,
    origination_account_id: "",
    guarantee_decision: null,
    guarantee_decision_rationale: null,
    iso_currency_code: "USD",
    standard_return_window: isAch ? dayText(day + RETURN_WINDOW_DAYS) : null,
    unauthorized_return_window: isAch ? dayText(day + UNAUTHORIZED_WINDOW_DAYS) : null,
    expected_settlement_date: isAch ? dayText(day + SETTLES_AFTER_DAYS) : null,
    originator_client_id: state.originatorClientId,
    refunds: state.refunds.map((refund) => ({
      ...refund,
      transfer_id: id,
      status: "pending",
      failure_reason: null,
    })),
    recurring_transfer_id: state.recurringTransferId,
    credit_funds_source: null,
    network_trace_id: null,
  };
}
