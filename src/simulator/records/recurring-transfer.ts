/**
 * Recurring transfers (https://plaid.com/docs/api/products/transfer/recurring-transfers/#transferrecurringget): on each day of its
 * schedule one makes a transfer, or skips it, until it is cancelled or its last day has passed.
 *
 *   active → cancelled | expired
 */
import { z } from "zod";
import { dayOf, dayText, momentText, parseDay } from "../days.ts";
import { invalidField } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { announce, makeRecord } from "./changes.ts";
import { recordBook, type SimRecord } from "./record-book.ts";
import { eventsUpdate } from "./transfer-ledger.ts";
import {
  achClass,
  amountText,
  drawAmount,
  drawUser,
  transferType,
  userOf,
  userShape,
  type TransferUser,
} from "./transfer-shapes.ts";
import { transfer } from "./transfer.ts";

const MS_PER_DAY = 86_400_000;
const DAYS = { week: 7, month: 30 };

export const scheduleShape = z.strictObject({
  interval_unit: z.enum(["week", "month"]),
  interval_count: z.int().min(1).max(52),
  interval_execution_day: z.int().min(-5).max(28),
  start_date: z.iso.date(),
  end_date: z.iso.date().nullish(),
});

export const recurringNetwork = z.enum(["ach", "same-day-ach", "rtp"]);

export interface Recurring {
  accountId: string;
  fundingAccountId: string;
  type: z.output<typeof transferType>;
  network: z.output<typeof recurringNetwork>;
  achClass: z.output<typeof achClass> | null;
  amount: string;
  description: string;
  user: TransferUser;
  schedule: z.output<typeof scheduleShape>;
  status: "active" | "cancelled" | "expired";
  nextDay: number | null;
  transferIds: string[];
  idempotencyKey: string | null;
}

export const recurringTransfer = recordBook<Recurring>()({
  kind: "recurring_transfer",
  id: (random) => random.uuid(),
  making: {
    account_id: z.string().optional(),
    funding_account_id: z.string().nullish(),
    type: transferType.default("debit"),
    network: recurringNetwork.default("ach"),
    ach_class: achClass.optional(),
    amount: amountText.optional(),
    description: z.string().min(1).max(15).default("subscription"),
    user: userShape.optional(),
    schedule: scheduleShape.optional(),
    idempotency_key: z.string().max(50).nullish(),
  },
  make: (given, { random }, sim) => {
    const inAWeek = dayText(sim.today() + 7);
    const schedule = given.schedule ?? {
      interval_unit: "week" as const,
      interval_count: 1,
      interval_execution_day: random.between(1, 5),
      start_date: inAWeek,
      end_date: null,
    };
    return {
      accountId: given.account_id ?? random.id(),
      fundingAccountId: given.funding_account_id ?? random.uuid(),
      type: given.type,
      network: given.network,
      achClass: given.network === "rtp" ? null : (given.ach_class ?? "ppd"),
      amount: given.amount ?? drawAmount(random),
      description: given.description,
      user: given.user ? userOf(given.user) : drawUser(random),
      schedule,
      status: "active",
      nextDay: Math.max(parseDay(schedule.start_date) ?? 0, sim.today() + 1),
      transferIds: [],
      idempotencyKey: given.idempotency_key ?? null,
    };
  },
  plan: schedule,
  changing: {
    /** what happens: the next transfer is made, or skipped, or the client or Plaid cancels it all */
    happens: z.enum(["transfer", "skip", "cancel"]),
  },
  change(record, { happens }, sim) {
    const { id, state } = record;
    if (state.status !== "active") throw invalidField(`the recurring transfer is ${state.status}`);
    if (happens === "transfer") return originate(record, sim);
    if (happens === "skip") return skip(record);
    state.status = "cancelled";
    state.nextDay = null;
    return { type: "TRANSFER", code: "RECURRING_CANCELLED", fields: { recurring_transfer_id: id } };
  },
  calm: ({ state }, random) => (state.status === "active" ? { happens: nextOf(random) } : null),
  truth: (record) => ({ recurring_transfers: { recurring_transfer: recurringObject(record) } }),
  unknown: () => invalidField("recurring_transfer_id must be the id of one of your recurring transfers"),
});

const nextOf = (random: Random) => random.pick(["cancel", "skip", "skip", "transfer", "transfer", "transfer"] as const);

/** Makes the transfer of the day; its event is in the ledger. */
function originate(record: SimRecord<Recurring>, sim: Simulation): WebhookNotice[] {
  const { id, clientId, random, state } = record;
  const made = makeRecord(
    sim,
    transfer,
    clientId,
    {
      account_id: state.accountId,
      funding_account_id: state.fundingAccountId,
      type: state.type,
      network: state.network,
      ach_class: state.achClass ?? undefined,
      amount: state.amount,
      description: state.description,
      recurring_transfer_id: id,
    },
    { random: random.fork(`transfer/${state.transferIds.length}`), webhooks: false },
  );
  made.state.user = state.user;
  state.transferIds.push(made.id);
  moveOn(state);
  const fields = { recurring_transfer_id: id, transfer_id: made.id };
  return [eventsUpdate(), { type: "TRANSFER", code: "RECURRING_NEW_TRANSFER", fields }];
}

function skip({ id, state }: SimRecord<Recurring>): WebhookNotice {
  const day = state.nextDay ?? 0;
  moveOn(state);
  return {
    type: "TRANSFER",
    code: "RECURRING_TRANSFER_SKIPPED",
    fields: {
      recurring_transfer_id: id,
      authorization_decision: "declined",
      authorization_decision_rationale_code: "NSF",
      skipped_origination_date: dayText(day),
    },
  };
}

function moveOn(state: Recurring): void {
  const { interval_unit, interval_count, end_date } = state.schedule;
  const next = (state.nextDay ?? 0) + DAYS[interval_unit] * interval_count;
  const ends = end_date && next > (parseDay(end_date) ?? next);
  state.nextDay = ends ? null : next;
  if (ends) state.status = "expired";
}

/** Waits for the next day of the schedule; what was moved on meanwhile waits for its new day. */
function schedule(record: SimRecord<Recurring>, sim: Simulation): void {
  const { nextDay } = record.state;
  if (nextDay === null) return;
  sim.time.schedule(nextDay * MS_PER_DAY, () => {
    const due = record.state.nextDay;
    if (due !== null && due <= dayOf(sim.time.now())) announce(sim, record, originate(record, sim));
    schedule(record, sim);
  });
}

/** Plaid's RecurringTransfer */
export const recurringObject = ({ id, createdAt, state }: SimRecord<Recurring>): Record<string, unknown> => ({
  recurring_transfer_id: id,
  created: momentText(createdAt),
  next_origination_date: state.nextDay === null ? null : dayText(state.nextDay),
  type: state.type,
  amount: state.amount,
  status: state.status,
  ...(state.achClass === null ? {} : { ach_class: state.achClass }),
  network: state.network,
  origination_account_id: "",
  account_id: state.accountId,
  funding_account_id: state.fundingAccountId,
  iso_currency_code: "USD",
  description: state.description,
  transfer_ids: state.transferIds,
  user: state.user,
  schedule: state.schedule,
});
