/**
 * The end customers of a reseller partner, as far as their registration at institutions with OAuth goes
 * (https://plaid.com/docs/api/partner/#partnercustomeroauth_institutionsget). The partner hears of each new status by a webhook.
 *
 *   not-started → processing → approved → enabled; it may need attention
 */
import { z } from "zod";
import { INSTITUTIONS } from "../catalogue/institutions.ts";
import { momentText } from "../days.ts";
import { invalidField, invalidInstitution } from "../plaid-error.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import { recordBook, type SimRecord } from "./record-book.ts";

const STATUSES = ["not-started", "processing", "approved", "enabled", "attention-required"] as const;
type Status = (typeof STATUSES)[number];
const status = z.enum(STATUSES);

interface Registration {
  institution: string;
  name: string;
  status: Status;
  approvedAt: number | null;
}

export interface PartnerCustomer {
  flowdown: string;
  questionnaire: string;
  registrations: Registration[];
}

const flowdown = z.enum(["NOT_STARTED", "IN_REVIEW", "NEGOTIATION", "COMPLETE"]);
const questionnaire = z.enum(["NOT_STARTED", "RECEIVED", "COMPLETE"]);
const OAUTH = INSTITUTIONS.filter((one) => one.oauth);

export const partnerCustomer = recordBook<PartnerCustomer>()({
  kind: "partner_customer",
  id: (random) => random.bytes(12).toString("hex"),
  making: { flowdown_status: flowdown.default("COMPLETE"), questionnaire_status: questionnaire.default("RECEIVED") },
  make: (given) => ({
    flowdown: given.flowdown_status,
    questionnaire: given.questionnaire_status,
    registrations: OAUTH.map(({ institution_id: institution, name }) => ({
      institution,
      name,
      status: "not-started",
      approvedAt: null,
    })),
  }),
  changing: {
    /** the institution whose status changes */
    institution_id: z.string().optional(),
    status: status.optional(),
    flowdown_status: flowdown.optional(),
    questionnaire_status: questionnaire.optional(),
  },
  change(record, request, sim) {
    const { state } = record;
    state.flowdown = request.flowdown_status ?? state.flowdown;
    state.questionnaire = request.questionnaire_status ?? state.questionnaire;
    if (request.status === undefined) return null;
    const found = state.registrations.find((one) => one.institution === request.institution_id);
    if (!found) throw invalidInstitution();
    if (found.status === request.status) return null;
    found.status = request.status;
    if (request.status === "approved" || request.status === "enabled") found.approvedAt ??= sim.time.now();
    return statusUpdated(record.id, found);
  },
  calm: ({ state }, random) => {
    const { institution, status } = random.pick(state.registrations);
    const next = STATUSES[STATUSES.indexOf(status) + 1];
    return next && next !== "attention-required" ? { institution_id: institution, status: next } : null;
  },
  truth: (record) => ({ partner_customers: oauthInstitutions(record) }),
  unknown: () => invalidField("end_customer_client_id must be the id of one of your end customers"),
});

/** Plaid's answer about an end customer */
export const oauthInstitutions = ({ state }: SimRecord<PartnerCustomer>): Record<string, unknown> => ({
  flowdown_status: state.flowdown,
  institutions: state.registrations.map(registrationObject),
  questionnaire_status: state.questionnaire,
});

const registrationObject = (one: Registration): Record<string, unknown> => ({
  classic_disablement_date: null,
  environments: { production: one.status.toUpperCase().replace("-", "_") },
  errors: [],
  institution_id: one.institution,
  name: one.name,
  production_enablement_date: one.approvedAt === null ? "" : momentText(one.approvedAt).slice(0, 10),
});

const statusUpdated = (id: string, one: Registration): WebhookNotice => ({
  type: "PARTNER",
  code: "END_CUSTOMER_OAUTH_STATUS_UPDATED",
  fields: {
    end_customer_client_id: id,
    institution_id: one.institution,
    institution_name: one.name,
    status: one.status,
  },
});
