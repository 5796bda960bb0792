/** Authorizations of transfers: Plaid's decision whether a transfer may be made. They stay as made. */
import { z } from "zod";
import { momentText } from "../days.ts";
import { invalidField } from "../plaid-error.ts";
import { recordBook, type SimRecord } from "./record-book.ts";
import {
  achClass,
  amountText,
  drawAmount,
  drawUser,
  transferNetwork,
  transferType,
  userOf,
  userShape,
} from "./transfer-shapes.ts";

export interface Authorization {
  accountId: string;
  fundingAccountId: string | null;
  type: z.output<typeof transferType>;
  network: z.output<typeof transferNetwork>;
  achClass: z.output<typeof achClass> | null;
  amount: string;
  user: ReturnType<typeof userOf>;
  decision: "approved" | "declined" | "user_action_required";
  rationale: { code: string; description: string } | null;
  idempotencyKey: string | null;
  originatorClientId: string | null;
  /** the transfer that it was used for */
  transferId: string | null;
}

export const transferAuthorization = recordBook<Authorization>()({
  kind: "transfer_authorization",
  id: (random) => random.uuid(),
  making: {
    account_id: z.string().optional(),
    funding_account_id: z.string().nullish(),
    type: transferType.default("debit"),
    network: transferNetwork.default("ach"),
    ach_class: achClass.optional(),
    amount: amountText.optional(),
    user: userShape.optional(),
    idempotency_key: z.string().max(50).nullish(),
    originator_client_id: z.string().nullish(),
    decision: z.enum(["approved", "declined", "user_action_required"]).default("approved"),
    rationale_code: z.enum(["NSF", "RISK", "TRANSFER_LIMIT_REACHED", "ITEM_LOGIN_REQUIRED"]).optional(),
  },
  make: (given, { random }) => ({
    accountId: given.account_id ?? random.id(),
    fundingAccountId: given.funding_account_id ?? random.uuid(),
    type: given.type,
    network: given.network,
    achClass: given.network === "ach" || given.network === "same-day-ach" ? (given.ach_class ?? "ppd") : null,
    amount: given.amount ?? drawAmount(random),
    user: given.user ? userOf(given.user) : drawUser(random),
    decision: given.decision,
    rationale: given.rationale_code
      ? { code: given.rationale_code, description: `The decision was made because of ${given.rationale_code}.` }
      : null,
    idempotencyKey: given.idempotency_key ?? null,
    originatorClientId: given.originator_client_id ?? null,
    transferId: null,
  }),
  changing: {},
  change: () => null,
  calm: () => null,
  truth: (record) => ({ authorization: authorizationObject(record) }),
  unknown: () => invalidField("authorization_id must be the id of one of your authorizations"),
});

/** Plaid's TransferAuthorization */
export const authorizationObject = ({ id, createdAt, state }: SimRecord<Authorization>): Record<string, unknown> => ({
  id,
  created: momentText(createdAt),
  decision: state.decision,
  decision_rationale: state.rationale,
  guarantee_decision: null,
  guarantee_decision_rationale: null,
  payment_risk: null,
  proposed_transfer: {
    ...(state.achClass === null ? {} : { ach_class: state.achClass }),
    account_id: state.accountId,
    funding_account_id: state.fundingAccountId,
    type: state.type,
    user: state.user,
    amount: state.amount,
    network: state.network,
    origination_account_id: "",
    iso_currency_code: "USD",
    originator_client_id: state.originatorClientId,
    credit_funds_source: null,
  },
});
