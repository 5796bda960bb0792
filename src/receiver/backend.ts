/**
 * The path of your backend: no `Plaid-Verification` header, but the integration's secret. It tells of new items with
 * their tokens, of items that the user repaired, and may ask for a read as if Plaid had sent its webhook.
 */
import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { introduceItem } from "../integrations/items.ts";
import { fromWebhookId, newUuid } from "../model/ids.ts";
import { metrics } from "../metrics.ts";
import { parseBody, readFields, storableText, type WebhookReading } from "../plaid/webhooks.ts";
import { cutTokens } from "../tokens.ts";
import type { Arrival, ReceiverDeps, Taken } from "./intake.ts";
import { IntakeRefusal, namesOf } from "./refusal.ts";
import { outcomeAtOnce } from "./settle.ts";

type Fields = Record<string, unknown>;
type Faults = Record<string, string>;

export type BackendPath = (arrival: Arrival, headers: IncomingHttpHeaders) => Promise<Taken>;

export function openBackendPath(deps: ReceiverDeps): BackendPath {
  return async (arrival, headers) => {
    checkSecret(headers, arrival.integration.webhookSecret);
    const fields = parseBody(arrival.body);
    if (fields === null) throw malformed({ body: "must be a JSON object" });
    const reading = readFields(fields);
    const faults = faultsOf(fields, reading);
    if (Object.keys(faults).length > 0) throw malformed(faults);
    return isCreated(reading) ? await introduce(deps, arrival, fields) : await trigger(deps, arrival, fields, reading);
  };
}

/** WebhookDB's clients send the first, ours the second, and whoever has neither at hand the third. */
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
  // Hashes are compared, since they have one length whatever was presented.
  const expected = hash("sha256", secret, "buffer");
  const holds = presented.map((value) => timingSafeEqual(hash("sha256", value, "buffer"), expected));
  if (holds.includes(true)) return;
  const message =
    "The webhook secret is not this integration's; `npx tartan integrations rotate-secret` makes a new one.";
  throw new IntakeRefusal("webhook_secret_mismatch", message);
}

const isCreated = ({ type, code }: WebhookReading): boolean => type === "ITEM" && code === "CREATED";

const TEXT = "must be a text of 1 to 255 characters";

/** Every field at fault, with how to mend it. */
function faultsOf(fields: Fields, reading: WebhookReading): Faults {
  const faults: Faults = {};
  if (reading.type === null) faults["webhook_type"] = `${TEXT}, such as ITEM`;
  if (reading.code === null) faults["webhook_code"] = `${TEXT}, such as CREATED`;
  const needsItem = reading.type === "ITEM" || reading.type === "TRANSACTIONS";
  if (reading.itemId === null && (needsItem || fields["item_id"] != null))
    faults["item_id"] = `${TEXT}: Plaid's item_id`;
  if (isCreated(reading) && storableText(fields["access_token"]) === null)
    faults["access_token"] = `${TEXT}: what /item/public_token/exchange answered`;
  if (fields["user_id"] != null && storableText(fields["user_id"]) === null)
    faults["user_id"] = `${TEXT}: your own identifier of the user; or leave it out`;
  if (fields["full"] != null && typeof fields["full"] !== "boolean") faults["full"] = "must be true or false";
  if (fields["source"] != null && fields["source"] !== "BACKEND" && fields["source"] !== "FROM_LISTENER")
    faults["source"] = "must be BACKEND or FROM_LISTENER; or leave it out";
  return faults;
}

function malformed(fields: Faults): IntakeRefusal {
  const detail = namesOf(fields);
  return new IntakeRefusal("webhook_malformed", `The webhook is not usable: ${detail}.`, { fields, detail });
}

async function introduce(
  { database, vault }: ReceiverDeps,
  { integration, body, receivedAt }: Arrival,
  fields: Fields,
): Promise<Taken> {
  const userId = storableText(fields["user_id"]);
  const { webhook_id: id } = await introduceItem(
    { database, vault },
    {
      integration_id: integration.id,
      item_id: String(fields["item_id"]),
      access_token: String(fields["access_token"]),
      ...(userId === null ? {} : { user_id: userId }),
      receivedAt,
      body: cutTokens(body).bytes,
    },
  );
  metrics.webhooksAccepted.inc({ source: "BACKEND" });
  return { id: fromWebhookId(id) ?? id, duplicate: false };
}

function trigger(
  deps: ReceiverDeps,
  { integration, body, receivedAt }: Arrival,
  fields: Fields,
  reading: WebhookReading,
): Promise<Taken> {
  const { type, code, itemId, environment, subject } = reading;
  const wanted = wantedBy(`${type}/${code}`, fields["full"] === true);
  const isAsked = wanted.length > 0 && subject !== null;
  return deps.accept.accept({
    id: newUuid(receivedAt),
    integrationId: integration.id,
    source: fields["source"] === "FROM_LISTENER" ? "FROM_LISTENER" : "BACKEND",
    subject,
    itemId,
    userId: storableText(fields["user_id"]),
    webhookType: type,
    webhookCode: code,
    environment: environment ?? integration.environment,
    receivedAt,
    body: cutTokens(body).bytes,
    settledAs: isAsked ? undefined : outcomeAtOnce(deps, reading),
    proof: null,
    wanted,
  });
}

/** What is asked for besides what the webhook touches anyway. `full` reads all transactions again. */
function wantedBy(webhook: string, full: boolean): string[] {
  const wanted = full ? ["transactions:full"] : [];
  if (webhook === "ITEM/UPDATED") wanted.unshift("*");
  if (webhook === "TRANSACTIONS/HISTORICAL_UPDATE" && !full) wanted.push("transactions");
  return wanted;
}
