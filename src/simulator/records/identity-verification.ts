/**
 * Identity verifications (https://plaid.com/docs/api/products/identity-verification/#identity_verificationget): a person goes through the
 * steps of a template, and a reviewer may overrule the outcome.
 *
 *   active → (step by step) → success | failed | pending_review; active → expired | canceled; a retry is another verification
 */
import { z } from "zod";
import { momentText } from "../days.ts";
import { invalidField } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import { digits, familyName, givenName, streetLine } from "./people.ts";
import { recordBook, type SimRecord } from "./record-book.ts";

const STEPS = [
  "accept_tos",
  "verify_sms",
  "kyc_check",
  "documentary_verification",
  "selfie_check",
  "risk_check",
] as const;
type Step = (typeof STEPS)[number];
const ENDS = ["success", "failed", "pending_review", "expired", "canceled"] as const;
type StepStatus = "success" | "active" | "failed" | "waiting_for_prerequisite" | "expired" | "canceled";

const addressShape = z.looseObject({
  street: z.string().nullish(),
  street2: z.string().nullish(),
  city: z.string().nullish(),
  region: z.string().nullish(),
  postal_code: z.string().nullish(),
  country: z.string().length(2),
});

export const verifiedUserShape = z.looseObject({
  email_address: z.string().optional(),
  phone_number: z.string().nullish(),
  date_of_birth: z.iso.date().optional(),
  name: z.looseObject({ given_name: z.string(), family_name: z.string() }).nullish(),
  address: addressShape.nullish(),
  id_number: z.looseObject({ value: z.string(), type: z.string() }).nullish(),
});

type Given = z.output<typeof verifiedUserShape>;

export interface Verification {
  clientUserId: string;
  templateId: string;
  shareable: boolean;
  user: Required<Pick<Given, "email_address" | "date_of_birth">> &
    Pick<Given, "phone_number" | "name" | "address" | "id_number">;
  status: "active" | (typeof ENDS)[number];
  completedAt: number | null;
  /** the step that the person is at; all before it succeeded */
  step: number;
  previousId: string | null;
  userId: string | null;
  redactedAt: number | null;
}

export const identityVerification = recordBook<Verification>()({
  kind: "identity_verification",
  id: (random) => `idv_${random.id(14)}`,
  making: {
    client_user_id: z.string().min(1).optional(),
    template_id: z.string().min(1).optional(),
    is_shareable: z.boolean().default(true),
    user: verifiedUserShape.nullish(),
    user_id: z.string().nullish(),
    /** the attempt that this one repeats */
    previous_attempt_id: z.string().nullish(),
  },
  make: (given, { random }) => ({
    clientUserId: given.client_user_id ?? `user-${random.between(1000, 99_999)}`,
    templateId: given.template_id ?? `idvtmp_${random.id(14)}`,
    shareable: given.is_shareable,
    user: { ...drawUser(random), ...given.user },
    status: "active",
    completedAt: null,
    step: 0,
    previousId: given.previous_attempt_id ?? null,
    userId: given.user_id ?? null,
    redactedAt: null,
  }),
  made: ({ id, state }) => (state.previousId === null ? null : notice("RETRIED", id)),
  changing: {
    /** the person completes so many steps */
    steps: z.int().min(1).max(STEPS.length).optional(),
    /** how it ends, or what a reviewer decides */
    status: z.enum(ENDS).optional(),
    /** what identifies the person is deleted */
    redact: z.literal(true).optional(),
  },
  change({ id, state }, { steps, status, redact }, sim) {
    const notices = [];
    if (steps !== undefined) {
      if (state.status !== "active") throw invalidField(`the verification is ${state.status}`);
      state.step = Math.min(STEPS.length, state.step + steps);
      notices.push(notice("STEP_UPDATED", id));
    }
    const ends = status ?? (state.step === STEPS.length && state.status === "active" ? "success" : undefined);
    if (ends !== undefined && ends !== state.status) {
      state.status = ends;
      state.completedAt ??= sim.time.now();
      notices.push(notice("STATUS_UPDATED", id));
    }
    if (redact) state.redactedAt = sim.time.now();
    return notices.length > 0 ? notices : null;
  },
  calm: ({ state }, random) => {
    if (state.status === "active")
      return random.chance(0.1)
        ? { status: random.pick(["failed", "pending_review", "expired"] as const) }
        : { steps: 1 };
    return state.status === "pending_review" ? { status: random.pick(["success", "failed"] as const) } : null;
  },
  truth: (record) => ({ identity_verifications: verificationObject(record) }),
  unknown: () => invalidField("identity_verification_id must be the id of one of your verifications"),
});

const notice = (code: string, id: string) => ({
  type: "IDENTITY_VERIFICATION",
  code,
  fields: { identity_verification_id: id },
});

function drawUser(random: Random): Verification["user"] {
  const name = { given_name: givenName(random), family_name: familyName(random) };
  return {
    email_address: `${name.given_name}.${name.family_name}@example.com`.toLowerCase(),
    phone_number: `+1415${digits(random, 7)}`,
    date_of_birth: `${random.between(1950, 2004)}-0${random.between(1, 9)}-${random.between(10, 28)}`,
    name,
    address: {
      street: streetLine(random),
      street2: null,
      city: "Pawnee",
      region: "IN",
      postal_code: "46001",
      country: "US",
    },
    id_number: { value: digits(random, 9), type: "us_ssn" },
  };
}

function stepStatus({ step, status }: Verification, at: number): StepStatus {
  if (at < step) return "success";
  if (status === "active") return at === step ? "active" : "waiting_for_prerequisite";
  if (status === "success") return "success";
  return status === "failed" || status === "pending_review" ? "failed" : status;
}

const stepsOf = (state: Verification): Record<Step, StepStatus> =>
  Object.fromEntries(STEPS.map((name, at) => [name, stepStatus(state, at)])) as Record<Step, StepStatus>;

const done = (status: StepStatus): boolean => status === "success" || status === "failed";

/** Plaid's IdentityVerification */
export function verificationObject({ id, createdAt, state }: SimRecord<Verification>): Record<string, unknown> {
  const steps = stepsOf(state);
  const { user } = state;
  return {
    id,
    client_user_id: state.clientUserId,
    created_at: momentText(createdAt),
    completed_at: state.completedAt === null ? null : momentText(state.completedAt),
    previous_attempt_id: state.previousId,
    shareable_url: state.shareable ? `https://flow.plaid.com/verify/${id}` : null,
    template: { id: state.templateId, version: 1 },
    user: {
      phone_number: user.phone_number ?? null,
      date_of_birth: user.date_of_birth,
      ip_address: state.step > 0 ? "192.0.2.42" : null,
      email_address: user.email_address,
      name: user.name ?? null,
      address: user.address
        ? { street: null, street2: null, city: null, region: null, postal_code: null, ...user.address }
        : null,
      id_number: user.id_number ?? null,
    },
    status: state.status,
    steps: { ...steps, watchlist_screening: "not_applicable" },
    documentary_verification: done(steps.documentary_verification)
      ? documents(steps.documentary_verification, state)
      : null,
    selfie_check: done(steps.selfie_check) ? selfies(steps.selfie_check) : null,
    kyc_check: done(steps.kyc_check) ? kycCheck(steps.kyc_check) : null,
    risk_check: done(steps.risk_check) ? riskCheck(steps.risk_check) : null,
    verify_sms: null,
    watchlist_screening_id: null,
    beacon_user_id: null,
    user_id: state.userId,
    redacted_at: state.redactedAt === null ? null : momentText(state.redactedAt),
  };
}

const documents = (status: StepStatus, { user }: Verification) => ({
  status,
  documents: [
    {
      status,
      attempt: 1,
      images: {
        original_front: "https://example.com/front.png",
        original_back: null,
        cropped_front: null,
        cropped_back: null,
        face: null,
      },
      extracted_data: {
        id_number: "AB123456",
        category: "drivers_license",
        expiration_date: "2030-05-29",
        issue_date: "2020-05-29",
        issuing_country: "US",
        issuing_region: "IN",
        date_of_birth: user.date_of_birth,
        address: { street: "123 Main St.", city: "Pawnee", region: "IN", postal_code: "46001", country: "US" },
        name: user.name ?? null,
      },
      analysis: {
        authenticity: status === "success" ? "match" : "no_match",
        image_quality: "high",
        extracted_data: null,
        fraud_analysis_details: null,
        image_quality_details: null,
        aamva_verification: null,
      },
      redacted_at: null,
    },
  ],
});

const selfies = (status: StepStatus) => ({
  status,
  selfies: [
    {
      status,
      attempt: 1,
      capture: { image_url: "https://example.com/selfie.png", video_url: null },
      analysis: { document_comparison: status === "success" ? "match" : "no_match", liveness_check: status },
    },
  ],
});

const kycCheck = (status: StepStatus) => {
  const summary = status === "success" ? "match" : "no_match";
  return {
    status,
    address: { summary, po_box: "no", type: "residential" },
    name: { summary },
    date_of_birth: { summary },
    id_number: { summary },
    phone_number: { summary, area_code: "match" },
  };
};

const riskCheck = (status: StepStatus) => ({
  status,
  behavior: { user_interactions: "genuine", fraud_ring_detected: "no", bot_detected: "no" },
  email: null,
  phone: null,
  devices: [{ ip_proxy_type: "none_detected", ip_spam_list_count: 0, ip_timezone_offset: "+06:00:00" }],
  identity_abuse_signals: null,
  facial_duplicates: [],
  trust_index_score: status === "success" ? 86 : 24,
});
