/**
 * Integrations: one Plaid client each, with its own intake URL and webhook secret. NOTIFY `tartan_integrations` announces a change to
 * processes that keep integrations in memory; a process that cannot listen looks them up again within 10 s. No function here
 * returns a secret, except a new one.
 */
import { randomBytes } from "node:crypto";
import type { Database, Queryable } from "../database/types.ts";
import { audit } from "../audit/audit.ts";
import { TartanError } from "../errors.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { newIntegrationId } from "../model/ids.ts";
import { noIntegration, type Environment } from "../model/integration.ts";
import { checked } from "../model/validation.ts";
import { PLAID_URLS } from "../plaid/credentials.ts";
import { IntegrationChange, NewIntegration, WebhookSecretRotation } from "./integration.schema.ts";
import {
  DELETE_INTEGRATION,
  GET_INTEGRATION,
  INSERT_INTEGRATION,
  LIST_INTEGRATIONS,
  NOTE_RETRY,
  NOTIFY_INTEGRATIONS,
  SET_LINK_OPTIONS,
  SET_REVOKED_DATA,
  UPDATE_INTEGRATION,
} from "./queries.ts";
import { auditReveals, hideAll, makeLocks, namesIn, setReveals } from "./reveals.ts";
import { clientSecret, webhookSecret } from "./sealed.ts";
import { beginSealing } from "./sealing.ts";
import { RESOURCES } from "../resources/index.ts";
import type { Vault } from "./vault.ts";

export type { IntegrationChange, NewIntegration } from "./integration.schema.ts";

/** An integration without its secrets. */
export interface Integration {
  id: string;
  service: string;
  name: string;
  environment: Environment;
  plaid_url: string;
  client_id: string;
  country_codes: string[];
  days_requested: number | null;
  include_original_description: boolean;
  /** why cash-flow updates are asked for, in Plaid's words */
  consumer_report_permissible_purpose: string | null;
  /** resources whose sensitive fields are mirrored unmasked */
  revealed_resources: string[];
  /** billed resources that are requested */
  enabled_resources: string[];
  /** resources that are revealed no longer, while their stored rows are being masked */
  masking_resources: string[];
  /** public tokens in Plaid's webhooks are exchanged */
  /** what becomes of data whose user has withdrawn it */
  revoked_data: "keep" | "erase";
  adopt_items: boolean;
  /** of Link tokens that name none */
  link_client_name: string | null;
  link_language: string;
  /** ISO 8601 */
  created_at: string;
  updated_at: string;
}

type Row = Omit<Integration, "created_at" | "updated_at"> & { created_at: Date; updated_at: Date };

const SERVICE = "plaid_item_v1";

const newWebhookSecret = (): string => randomBytes(24).toString("base64url");

const publicShape = (row: Row): Integration => ({
  ...row,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
});

/** Runs `work` so that a key rotation finds what it seals (see rotation.ts), and notifies the directories. */
async function changing<T>(database: Database, vault: Vault, work: (tx: Queryable) => Promise<T>): Promise<T> {
  return await database.transaction(async (tx) => {
    await beginSealing(tx, vault);
    const result = await work(tx);
    await tx.query(NOTIFY_INTEGRATIONS);
    return result;
  });
}

/**
 * Stores a new integration with sealed secrets.
 * @throws TartanError `invalid_request` naming each invalid field
 */
export async function createIntegration(
  database: Database,
  vault: Vault,
  given: NewIntegration,
  by: Change = BY_TARTAN,
): Promise<Integration & { webhook_secret: string }> {
  const input = checked(NewIntegration, given, "integration");
  const id = newIntegrationId();
  const secret = input.webhook_secret ?? newWebhookSecret();
  return await changing(database, vault, async (tx) => {
    const { rows } = await tx.query<Row>(INSERT_INTEGRATION, [
      id,
      SERVICE,
      input.name ?? `Plaid ${input.environment}`,
      input.environment,
      (input.plaid_url ?? PLAID_URLS[input.environment]).replace(/\/+$/, ""),
      input.client_id,
      vault.seal(input.secret, clientSecret(id)),
      vault.seal(secret, webhookSecret(id)),
      input.country_codes ?? ["US"],
      input.days_requested ?? null,
      input.include_original_description ?? false,
      namesIn(input.revealed_resources ?? []),
      namesIn(input.enabled_resources ?? []),
      input.consumer_report_permissible_purpose ?? null,
      input.adopt_items ?? false,
      input.link_client_name ?? null,
      input.link_language ?? "en",
      input.revoked_data ?? "keep",
    ]);
    const made = withPurpose(one(rows, id));
    await makeLocks(tx, id, made.revealed_resources);
    const { name, environment, plaid_url, client_id } = made;
    await audit(tx, by, {
      action: "integration.created",
      integrationId: id,
      details: { name, environment, plaid_url, client_id },
    });
    await auditReveals(
      tx,
      id,
      by,
      { revealed: [], enabled: [] },
      { revealed: made.revealed_resources, enabled: made.enabled_resources },
    );
    return { ...made, webhook_secret: secret };
  });
}

/** @throws TartanError `invalid_request` for an integration that enables what Plaid gives only with the purpose, and has none */
function withPurpose(integration: Integration): Integration {
  if (integration.consumer_report_permissible_purpose !== null) return integration;
  const lacking = RESOURCES.filter(({ name, needs }) => needs && integration.enabled_resources.includes(name));
  if (lacking.length === 0) return integration;
  const names = lacking.map(({ name }) => name).join(", ");
  throw new TartanError(
    "invalid_request",
    `Plaid answers ${names} only to those who say why they ask. Set consumer_report_permissible_purpose too.`,
    { fields: { consumer_report_permissible_purpose: `is needed for ${names}` } },
  );
}

function one(rows: readonly Row[], id: string): Integration {
  const row = rows[0];
  if (!row) throw noIntegration(id, "id");
  return publicShape(row);
}

/** All integrations that were not deleted, oldest first. */
export async function listIntegrations(q: Queryable): Promise<Integration[]> {
  return (await q.query<Row>(LIST_INTEGRATIONS)).rows.map(publicShape);
}

export async function getIntegration(q: Queryable, id: string): Promise<Integration | null> {
  const { rows } = await q.query<Row>(GET_INTEGRATION, [id]);
  return rows[0] ? publicShape(rows[0]) : null;
}

/** They have actions of their own. */
const REVEALS: ReadonlySet<string> = new Set(["revealed_resources", "enabled_resources"]);

/**
 * Changes the given settings and leaves the rest.
 * @returns the integration, and the work that was noted for its items
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function changeIntegration(
  database: Database,
  vault: Vault,
  id: string,
  given: IntegrationChange,
  by: Change = BY_TARTAN,
): Promise<{ integration: Integration; unfinished: "retry" | null }> {
  const changes = checked(IntegrationChange, given, "integration");
  const isRetried = changes.secret !== undefined || changes.client_id !== undefined;
  const integration = await changing(database, vault, async (tx) => {
    const { name, client_id, secret, country_codes } = changes;
    const sealed = secret === undefined ? null : vault.seal(secret, clientSecret(id));
    const { days_requested: days, include_original_description: original } = changes;
    const { consumer_report_permissible_purpose: purpose } = changes;
    const common = [id, name ?? null, client_id ?? null, sealed, null, country_codes ?? null];
    const values = [
      ...common,
      days !== undefined,
      days ?? null,
      original ?? null,
      purpose !== undefined,
      purpose ?? null,
    ];
    const { adopt_items: adopt, link_client_name: linkName, link_language: language } = changes;
    if (adopt !== undefined || linkName !== undefined || language !== undefined)
      await tx.query(SET_LINK_OPTIONS, [id, adopt ?? null, linkName !== undefined, linkName ?? null, language ?? null]);
    if (changes.revoked_data !== undefined) await tx.query(SET_REVOKED_DATA, [id, changes.revoked_data]);
    await setReveals(tx, id, { revealed: changes.revealed_resources, enabled: changes.enabled_resources }, by);
    const updated = withPurpose(one((await tx.query<Row>(UPDATE_INTEGRATION, values)).rows, id));
    if (isRetried) await tx.query(NOTE_RETRY, [id]);
    const fields = Object.entries(changes).flatMap(([name, value]) =>
      value === undefined || REVEALS.has(name) ? [] : [name],
    );
    if (fields.length > 0)
      await audit(tx, by, { action: "integration.changed", integrationId: id, details: { fields } });
    return updated;
  });
  return { integration, unfinished: isRetried ? "retry" : null };
}

/**
 * Replaces the webhook secret of the backend; the old one stops working at once.
 * @param secret the new one; random when absent
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function rotateWebhookSecret(
  database: Database,
  vault: Vault,
  id: string,
  secret: string = newWebhookSecret(),
  by: Change = BY_TARTAN,
): Promise<{ webhook_secret: string }> {
  checked(WebhookSecretRotation, { webhook_secret: secret }, "integration");
  return await changing(database, vault, async (tx) => {
    const sealed = vault.seal(secret, webhookSecret(id));
    one(
      (await tx.query<Row>(UPDATE_INTEGRATION, [id, null, null, null, sealed, null, false, null, null, false, null]))
        .rows,
      id,
    );
    await audit(tx, by, { action: "webhook_secret.rotated", integrationId: id });
    return { webhook_secret: secret };
  });
}

/**
 * Deletes its secrets, hides what it reveals, notifies the processes, and notes the work for its items.
 * @throws TartanError `not_found`
 */
export async function markDeleted(
  database: Database,
  id: string,
  unfinished: "end" | "purge",
  by: Change = BY_TARTAN,
): Promise<void> {
  await database.transaction(async (tx) => {
    await hideAll(tx, id, by);
    if ((await tx.query(DELETE_INTEGRATION, [id, unfinished])).rowCount === 0) throw noIntegration(id, "id");
    await audit(tx, by, {
      action: "integration.deleted",
      integrationId: id,
      details: { purge: unfinished === "purge" },
    });
    await tx.query(NOTIFY_INTEGRATIONS);
  });
}

/** The intake URL, to which Plaid and the backend post. */
export const integrationUrl = (publicUrl: string, id: string): string =>
  `${publicUrl.replace(/\/+$/, "")}/v1/integrations/${id}`;
