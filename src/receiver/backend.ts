/**
 * The path of your backend: its requests carry the integration's secret and no `Plaid-Verification` header. They link items with
 * their tokens, hand over tokens that your backend has rotated, report items that the user repaired, or request a reading as if Plaid had sent its webhook.
 */
import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { newUuid } from "../model/ids.ts";
import { FIELD_MAX, parseBody, readFields, storableText, type WebhookReading } from "../plaid/webhooks.ts";
import { cutTokens } from "../model/cut-tokens.ts";
import { EVERYTHING, EVERYTHING_AGAIN, type Accepted } from "../model/webhook.ts";
import type { ReceivedRequest, ReceiverDeps } from "./deps.ts";
import { IntakeRefusal, namesOf } from "./refusal.ts";

type Fields = Record<string, unknown>;
type Invalid = Record<string, string>;

export type BackendPath = (request: ReceivedRequest, headers: IncomingHttpHeaders) => Promise<Accepted>;

export function openBackendPath(deps: ReceiverDeps): BackendPath {
  return async (request, headers) => {
    checkSecret(headers, request.integration.webhookSecret);
    const fields = parseBody(request.body);
    if (fields === null) throw malformed({ body: "must be a JSON object" });
    const reading = readFields(fields);
    const invalid = invalidOf(fields, reading);
    if (Object.keys(invalid).length > 0) throw malformed(invalid);
    return hasToken(reading, fields)
      ? await link(deps, request, fields, reading)
      : await trigger(deps, request, fields, reading);
  };
}

/** WebhookDB's clients send the first, ours the second, and clients that can send neither the third. */
function presentedSecrets(headers: IncomingHttpHeaders): string[] {
  const bearer = /^Bearer +(\S.*)$/i.exec(headers.authorization ?? "")?.[1];
  const presented = [headers["whdb-webhook-secret"], headers["tartan-webhook-secret"], bearer];
  return presented.filter((value) => typeof value === "string").filter((value) => value !== "");
}

function checkSecret(headers: IncomingHttpHeaders, secret: string): void {
  const presented = presentedSecrets(headers);
  if (presented.length === 0) {
    const message =
      "This request is neither Plaid's (it has no Plaid-Verification header) nor your backend's: send the integration's " +
      "webhook secret as Tartan-Webhook-Secret, Whdb-Webhook-Secret or Authorization: Bearer.";
    throw new IntakeRefusal("webhook_secret_missing", message);
  }
  // Compares hashes, since they have the same length for every presented secret.
  const expected = hash("sha256", secret, "buffer");
  const holds = presented.map((value) => timingSafeEqual(hash("sha256", value, "buffer"), expected));
  if (holds.includes(true)) return;
  const message =
    "This is not the integration's webhook secret. Send the right one; `npx tartan integrations rotate-secret` makes a new one.";
  throw new IntakeRefusal("webhook_secret_mismatch", message);
}

const isCreated = ({ type, code }: WebhookReading): boolean => type === "ITEM" && code === "CREATED";

const isUpdated = ({ type, code }: WebhookReading): boolean => type === "ITEM" && code === "UPDATED";

/** ITEM/UPDATED has a token where the backend has rotated it. */
const hasToken = (reading: WebhookReading, fields: Fields): boolean =>
  isCreated(reading) || (isUpdated(reading) && fields["access_token"] != null);

const TEXT = `must be a text of 1 to ${FIELD_MAX} characters`;

/** Every invalid field, with what it must be. */
function invalidOf(fields: Fields, reading: WebhookReading): Invalid {
  const invalid: Invalid = {};
  if (reading.type === null) invalid["webhook_type"] = `${TEXT}, such as ITEM`;
  if (reading.code === null) invalid["webhook_code"] = `${TEXT}, such as CREATED`;
  const needsItem = reading.type === "ITEM" || reading.type === "TRANSACTIONS";
  if (reading.itemId === null && (needsItem || fields["item_id"] != null))
    invalid["item_id"] = `${TEXT}: Plaid's item_id`;
  if (isCreated(reading) && storableText(fields["access_token"]) === null)
    invalid["access_token"] = `${TEXT}: what /item/public_token/exchange answered`;
  if (isUpdated(reading) && fields["access_token"] != null && storableText(fields["access_token"]) === null)
    invalid["access_token"] = `${TEXT}: what /item/access_token/invalidate answered; or leave it out`;
  if (fields["user_id"] != null && storableText(fields["user_id"]) === null)
    invalid["user_id"] = `${TEXT}: your own identifier of the user; or leave it out`;
  if (fields["full"] != null && typeof fields["full"] !== "boolean") invalid["full"] = "must be true or false";
  if (fields["source"] != null && fields["source"] !== "BACKEND" && fields["source"] !== "FROM_LISTENER")
    invalid["source"] = "must be BACKEND or FROM_LISTENER; or leave it out";
  return invalid;
}

function malformed(fields: Invalid): IntakeRefusal {
  const detail = namesOf(fields);
  return new IntakeRefusal("webhook_malformed", `The webhook is not usable: ${detail}.`, { fields, detail });
}

function link(
  { intake }: ReceiverDeps,
  { integration, body, receivedAt }: ReceivedRequest,
  fields: Fields,
  reading: WebhookReading,
): Promise<Accepted> {
  return intake.accept({
    arrival: "linked_item",
    id: newUuid(receivedAt),
    code: isUpdated(reading) ? "UPDATED" : "CREATED",
    full: fields["full"] === true,
    integrationId: integration.id,
    itemId: String(fields["item_id"]),
    accessToken: String(fields["access_token"]),
    userId: storableText(fields["user_id"]) ?? undefined,
    receivedAt,
    body: cutTokens(body).bytes,
  });
}

function trigger(
  { intake }: ReceiverDeps,
  { integration, body, receivedAt }: ReceivedRequest,
  fields: Fields,
  { type, code, itemId, environment, subject }: WebhookReading,
): Promise<Accepted> {
  return intake.accept({
    arrival: "webhook",
    id: newUuid(receivedAt),
    integrationId: integration.id,
    source: fields["source"] === "FROM_LISTENER" ? "FROM_LISTENER" : "BACKEND",
    subject,
    itemId,
    // In Plaid's webhooks about users it is Plaid's identifier, and your backend posts such a webhook as Plaid sends it.
    userId: subject?.kind === "user" ? null : storableText(fields["user_id"]),
    webhookType: type,
    webhookCode: code,
    environment: environment ?? integration.environment,
    receivedAt,
    body: cutTokens(body).bytes,
    proof: null,
    requested: requestedBy(`${type}/${code}`, fields["full"] === true),
  });
}

/** After a repair any resource may have changed. */
function requestedBy(webhook: string, full: boolean): string[] {
  if (full) return [EVERYTHING_AGAIN];
  return webhook === "ITEM/UPDATED" ? [EVERYTHING] : [];
}
