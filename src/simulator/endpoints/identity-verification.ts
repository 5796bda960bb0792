/** POST /identity_verification/…: verifications of people's identity. */
import { z } from "zod";
import { invalidField } from "../plaid-error.ts";
import { makeRecord } from "../records/changes.ts";
import { identityVerification, verificationObject, verifiedUserShape } from "../records/identity-verification.ts";
import { endpoint, type Call, type Endpoint } from "./endpoint.ts";
import { recordEndpoint } from "./record-endpoint.ts";
import { pageOf } from "./record-pages.ts";

const PAGE = 20;

/** The client's verifications of a person under a template, oldest first. */
const attempts = ({ sim, client }: Call, templateId: string, clientUserId?: string) =>
  sim.world.records
    .of(identityVerification, client.clientId)
    .filter(({ state }) => state.templateId === templateId)
    .filter(({ state }) => clientUserId === undefined || state.clientUserId === clientUserId);

export const IDENTITY_VERIFICATION: readonly Endpoint[] = [
  endpoint(
    "/identity_verification/create",
    {
      client_user_id: z.string().min(1).optional(),
      user_id: z.string().optional(),
      is_shareable: z.boolean(),
      template_id: z.string().min(1),
      gave_consent: z.boolean(),
      user: verifiedUserShape.nullish(),
      is_idempotent: z.boolean().nullish(),
    },
    (body, call) => {
      const client_user_id = body.client_user_id ?? (body.user?.["client_user_id"] as string | undefined);
      if (client_user_id === undefined && body.user_id === undefined)
        throw invalidField("client_user_id or user_id is required");
      const [known] = body.is_idempotent ? attempts(call, body.template_id, client_user_id).toReversed() : [];
      const { template_id, is_shareable, user, user_id } = body;
      const request = { template_id, is_shareable, user, user_id, client_user_id };
      return verificationObject(known ?? makeRecord(call.sim, identityVerification, call.client.clientId, request));
    },
  ),
  recordEndpoint(
    "/identity_verification/get",
    identityVerification,
    "identity_verification_id",
    {},
    verificationObject,
  ),
  endpoint(
    "/identity_verification/list",
    {
      template_id: z.string().min(1),
      client_user_id: z.string().optional(),
      user_id: z.string().nullish(),
      cursor: z.string().nullish(),
    },
    ({ template_id, client_user_id, user_id, cursor }, call) => {
      const all = attempts(call, template_id, client_user_id).filter(
        ({ state }) => !user_id || state.userId === user_id,
      );
      const page = pageOf(all, PAGE, cursor);
      return {
        identity_verifications: page.records.map(verificationObject),
        next_cursor: page.next_cursor,
      };
    },
  ),
  endpoint(
    "/identity_verification/retry",
    {
      client_user_id: z.string().min(1),
      template_id: z.string().min(1),
      strategy: z.enum(["reset", "incomplete", "infer", "custom"]),
      user: verifiedUserShape.nullish(),
      steps: z.looseObject({}).nullish(),
      is_shareable: z.boolean().nullish(),
    },
    ({ client_user_id, template_id, user, is_shareable }, call) => {
      const last = attempts(call, template_id, client_user_id).at(-1);
      if (!last) throw identityVerification.unknown();
      const request = {
        template_id,
        client_user_id,
        user: user ?? last.state.user,
        is_shareable: is_shareable ?? last.state.shareable,
        previous_attempt_id: last.id,
      };
      return verificationObject(makeRecord(call.sim, identityVerification, call.client.clientId, request));
    },
  ),
];
