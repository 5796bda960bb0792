/**
 * Asks for what connecting a Plaid client needs. It skips questions that an option or the environment answers. Without a
 * terminal it asks nothing and names what is missing.
 */
import { randomBytes } from "node:crypto";
import { cancel, intro, isCancel, note, password, select, text } from "@clack/prompts";
import { TartanError } from "../../../errors.ts";
import { NewIntegration } from "../../../integrations/integration.schema.ts";
import { errorOf } from "../../../model/validation.ts";
import { bold } from "../../output/print.ts";

export interface IntegrationFlags {
  clientId?: string;
  secret?: string;
  environment?: "sandbox" | "production";
  webhookSecret?: string;
  name?: string;
  plaidUrl?: string;
  country?: string[];
  daysRequested?: number;
  includeOriginalDescription?: true;
  permissiblePurpose?: string;
  reveal?: string[];
  enable?: string[];
  adoptItems?: true;
  revokedData?: string;
  linkName?: string;
  linkLanguage?: string;
  reason?: string;
  check: boolean;
  json?: true;
}

export type IntegrationAnswers = NewIntegration;

const secretError = (given: string): string | undefined => {
  const error = errorOf(NewIntegration.shape.webhook_secret, given);
  return error === null ? undefined : `It ${error}.`;
};

/** @throws TartanError `invalid_request` naming every missing option when there is no terminal to ask at */
export async function askForIntegration(flags: IntegrationFlags, env: NodeJS.ProcessEnv): Promise<IntegrationAnswers> {
  const given = {
    client_id: flags.clientId ?? env["PLAID_CLIENT_ID"],
    secret: flags.secret ?? env["PLAID_SECRET"],
    environment: flags.environment,
    webhook_secret: flags.webhookSecret,
  };
  const optional = {
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.plaidUrl === undefined ? {} : { plaid_url: flags.plaidUrl }),
    ...(flags.country === undefined ? {} : { country_codes: flags.country.map((code) => code.toUpperCase()) }),
    ...(flags.daysRequested === undefined ? {} : { days_requested: flags.daysRequested }),
    ...(flags.includeOriginalDescription && { include_original_description: true }),
    ...(flags.permissiblePurpose === undefined
      ? {}
      : { consumer_report_permissible_purpose: purposeIn(flags.permissiblePurpose) }),
    ...(flags.reveal === undefined ? {} : { revealed_resources: flags.reveal }),
    ...(flags.enable === undefined ? {} : { enabled_resources: flags.enable }),
    ...(flags.adoptItems && { adopt_items: true }),
    ...(flags.revokedData === undefined ? {} : { revoked_data: policyIn(flags.revokedData) }),
    ...(flags.linkName === undefined ? {} : { link_client_name: flags.linkName }),
    ...(flags.linkLanguage === undefined ? {} : { link_language: flags.linkLanguage }),
  };
  const ask = Boolean(process.stdin.isTTY && process.stdout.isTTY && !flags.json);
  const required = ask ? await askTheRest(given) : insistOn(given);
  return { ...required, ...optional };
}

/** The schema refuses other values. */
export const policyIn = (text: string | undefined): NewIntegration["revoked_data"] =>
  text as NewIntegration["revoked_data"];

/** `none` is null; the schema refuses other values. */
export const purposeIn = (text: string): NewIntegration["consumer_report_permissible_purpose"] =>
  text === "none" ? null : (text as NonNullable<NewIntegration["consumer_report_permissible_purpose"]>);

type Given = { [K in "client_id" | "secret" | "environment" | "webhook_secret"]: IntegrationAnswers[K] | undefined };
type Required = Pick<IntegrationAnswers, "client_id" | "secret" | "environment" | "webhook_secret">;

function insistOn({ client_id, secret, environment, webhook_secret }: Given): Required {
  const fields: Record<string, string> = {};
  if (!client_id) fields["client_id"] = "give --client-id or PLAID_CLIENT_ID";
  if (!secret) fields["secret"] = "give PLAID_SECRET or --secret";
  if (!environment) fields["environment"] = "give --environment sandbox or --environment production";
  if (!client_id || !secret || !environment) {
    throw new TartanError(
      "invalid_request",
      "Some settings of the integration are missing, and there is no terminal to ask for them.",
      { fields },
    );
  }
  return { client_id, secret, environment, ...(webhook_secret === undefined ? {} : { webhook_secret }) };
}

async function askTheRest(given: Given): Promise<Required> {
  intro(bold("Connect a Plaid client"));
  const webhook_secret = given.webhook_secret ?? (await askForWebhookSecret());
  const environment = given.environment ?? (await askForEnvironment());
  const client_id = given.client_id ?? (await answered(text({ message: "Plaid client id", validate: notEmpty })));
  const secret = given.secret ?? (await answered(password({ message: "Plaid secret", validate: notEmpty })));
  return { client_id, secret, environment, webhook_secret };
}

async function askForWebhookSecret(): Promise<string> {
  const random = randomBytes(24).toString("base64url");
  note(`Your backend posts new items with this secret. Here is a random one:\n${random}`, "Webhook secret");
  return answered(
    text({
      message: "Webhook secret (press Enter for the random one)",
      defaultValue: random,
      validate: (value) => (value ? secretError(value) : undefined),
    }),
  );
}

function askForEnvironment(): Promise<"sandbox" | "production"> {
  return answered(
    select<"sandbox" | "production">({
      message: "Plaid environment",
      options: [
        { value: "sandbox", label: "Sandbox" },
        { value: "production", label: "Production" },
      ],
    }),
  );
}

const notEmpty = (value: string | undefined) => (value?.trim() ? undefined : "This cannot be empty.");

async function answered<T>(question: Promise<T>): Promise<Exclude<T, symbol>> {
  const answer = await question;
  if (isCancel(answer)) {
    cancel("Nothing was created.");
    throw new TartanError("invalid_request", "You cancelled the questions; nothing was created.");
  }
  return answer as Exclude<T, symbol>;
}
