/** Originators: the businesses for which a platform makes transfers, and how far Plaid's review of each is. */
import { z } from "zod";
import { invalidField } from "../plaid-error.ts";
import { familyName } from "./people.ts";
import { recordBook, type SimRecord } from "./record-book.ts";

const STATUSES = [
  "not_submitted",
  "submitted",
  "under_review",
  "approved",
  "denied",
  "more_information_required",
] as const;

export interface Originator {
  companyName: string;
  status: (typeof STATUSES)[number];
}

export const originator = recordBook<Originator>()({
  kind: "originator",
  id: (random) => random.bytes(12).toString("hex"),
  making: { company_name: z.string().min(1).optional() },
  make: ({ company_name }, { random }) => ({
    companyName: company_name ?? `${familyName(random)} and Sons`,
    status: "not_submitted",
  }),
  changing: { transfer_diligence_status: z.enum(STATUSES) },
  change({ id, state }, { transfer_diligence_status: status }) {
    if (status === state.status) return null;
    state.status = status;
    return { type: "TRANSFER", code: "PLATFORM_ONBOARDING_UPDATE", fields: { originator_client_id: id } };
  },
  calm: ({ state }, random) => {
    if (state.status === "approved" || state.status === "denied") return null;
    return { transfer_diligence_status: random.pick(STATUSES.slice(1)) };
  },
  truth: (record) => ({ originators: { originator: originatorObject(record) } }),
  unknown: () => invalidField("originator_client_id must be the id of one of your originators"),
});

/** Plaid's DetailedOriginator */
export const originatorObject = ({ id, state }: SimRecord<Originator>): Record<string, unknown> => ({
  client_id: id,
  transfer_diligence_status: state.status,
  company_name: state.companyName,
  outstanding_requirements: state.status === "more_information_required" ? [{ requirement_type: "BUSINESS_NAME" }] : [],
});
