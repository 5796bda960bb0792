/** `tartan integrations …`: connect Plaid clients and manage their secrets. */
import { Command, InvalidArgumentError, Option } from "commander";
import {
  createIntegration,
  integrationUrl,
  listIntegrations,
  rotateWebhookSecret,
  type IntegrationChange,
} from "../../integrations/integrations.ts";
import { deleteIntegration, updateIntegration } from "../../lifecycle/integrations.ts";
import { NewIntegration } from "../../integrations/integration.schema.ts";
import { ENVIRONMENTS, type Environment } from "../../model/integration.ts";
import { checked } from "../../model/validation.ts";
import { checkCredentials } from "../../plaid/credentials.ts";
import { TartanError } from "../../errors.ts";
import { ENABLABLE, REVEALABLE } from "../../resources/index.ts";
import { didYouMean } from "../../suggest.ts";
import {
  askForIntegration,
  policyIn,
  purposeIn,
  type IntegrationAnswers,
  type IntegrationFlags,
} from "./integrations/ask.ts";
import { checkChanged, credentialsIn, type CredentialFlags } from "./integrations/credentials.ts";
import { callsCommand } from "./integrations/calls.ts";
import { confirmMasking, sayListChanges } from "./integrations/lists.ts";
import { found, show } from "./integrations/show.ts";
import { publicUrl, withCore, type Core } from "../wiring/core.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { confirm } from "../input/confirm.ts";
import { choiceOf, listOf, rangeOf } from "../input/flags.ts";
import {
  ago,
  bold,
  cyan,
  dim,
  green,
  say,
  sayFacts,
  sayJson,
  sayJsonList,
  sayTable,
  tell,
  yellow,
} from "../output/print.ts";

interface Json {
  json?: true;
}

export function integrationsCommand(): Command {
  const integrations = new Command("integrations").description("the Plaid clients that Tartan works for");
  integrations.addCommand(createCommand());
  integrations
    .command("list")
    .description("list the integrations")
    .option("--json", "print JSON")
    .action(withCore(list));
  integrations
    .command("show <id>")
    .description("show one integration, and its intake URL")
    .option("--json", "print JSON")
    .action(withCore(show));
  integrations.addCommand(callsCommand());
  integrations.addCommand(updateCommand());
  integrations
    .command("rotate-secret <id>")
    .description("replace the webhook secret of your backend")
    .option("--webhook-secret <secret>", "the new secret (default: a random one)")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON")
    .action(withCore(rotate));
  integrations
    .command("delete <id>")
    .description("delete its secrets and tokens and stop syncing it; mirrored rows and webhooks stay")
    .option("--purge", "also delete its mirrored rows and journaled webhooks")
    .option(REASON, REASON_HELP)
    .option("--yes", "do not ask for confirmation")
    .action(withCore(remove));
  return integrations;
}

function createCommand(): Command {
  return new Command("create")
    .description("connect a Plaid client; asks for what the options leave out")
    .argument("<service>", "plaid_item_v1")
    .option("--client-id <id>", "Plaid client id (or PLAID_CLIENT_ID)")
    .option("--secret <secret>", "Plaid secret (better: PLAID_SECRET, which no process list shows)")
    .addOption(new Option("--environment <name>", choiceOf(ENVIRONMENTS)).argParser(readEnvironment))
    .option("--webhook-secret <secret>", "the secret of your backend (default: a random one)")
    .option("--name <name>", "a name of your choice")
    .option("--plaid-url <url>", "Plaid's API, or a simulator's")
    .option("--country <codes...>", "countries of your institutions, for example US CA")
    .option("--days-requested <days>", DAYS_HELP, wholeDays)
    .option("--include-original-description", "ask for the bank's own description of each transaction")
    .option("--reveal <resources>", REVEAL_HELP, namesOf)
    .option("--permissible-purpose <purpose>", PURPOSE_HELP)
    .option("--enable <resources>", ENABLE_HELP, namesOf)
    .option("--revoked-data <policy>", REVOKED_HELP)
    .option("--adopt-items", ADOPT_HELP)
    .option("--link-name <name>", LINK_NAME_HELP)
    .option("--link-language <code>", LINK_LANGUAGE_HELP)
    .option(REASON, REASON_HELP)
    .option("--no-check", "do not check the credentials with Plaid")
    .option("--json", "print JSON, ask nothing")
    .action(async (service: string, flags: IntegrationFlags) => {
      if (service !== "plaid_item_v1") {
        throw new TartanError("invalid_request", `There is no service ${service}; use plaid_item_v1.`);
      }
      const answers = await askForIntegration(flags, process.env);
      await withCore(create, { creates: true })(answers, flags);
    });
}

const PURPOSE_HELP =
  "why you read cash-flow updates of Plaid Check: ACCOUNT_REVIEW_CREDIT, WRITTEN_INSTRUCTION_OTHER, or none";
const DAYS_HELP = `days of transactions for items that are not initialised yet, ${rangeOf(NewIntegration.shape.days_requested)} (default: Plaid's, 90)`;

const REVEAL_HELP = `resources whose sensitive fields are not masked: ${REVEALABLE.join(",")}`;
const ENABLE_HELP = `billed resources to request: ${ENABLABLE.join(",") || "there are none"}`;

const REVOKED_HELP = "keep or erase: what becomes of data whose user withdraws the permission at Plaid (keep)";
const ADOPT_HELP = "link new items by itself: exchange the public tokens in Plaid's LINK webhooks";
const LINK_NAME_HELP = "the name of your application in Link, where a Link token gives none";
const LINK_LANGUAGE_HELP = "the language of Link, where a Link token gives none, such as en";

const REPLACES = "the list replaces the one before";

/** `auth,identity`; `none` is the empty list. */
const namesOf = (text: string): string[] => (text === "none" ? [] : listOf(text));

/** The rules refuse NaN and name the field. */
const wholeDays = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN);

function updateCommand(): Command {
  return new Command("update")
    .description("change the given settings and leave the rest")
    .argument("<id>")
    .option(
      "--secret [secret]",
      "the new Plaid secret (better: PLAID_SECRET, which no process list shows, and --secret alone)",
    )
    .option("--client-id <id>", "the new Plaid client id, with --secret")
    .option("--no-check", "do not check the credentials with Plaid")
    .option("--name <name>", "a name of your choice")
    .option("--country <codes...>", "countries of your institutions, for example US CA")
    .option("--days-requested <days>", `${DAYS_HELP}; \`default\` is Plaid's`)
    .option("--include-original-description", "ask for the bank's own description of each transaction")
    .option("--no-include-original-description", "no longer ask for it")
    .option("--reveal <resources>", `${REVEAL_HELP}; ${REPLACES}, \`none\` masks all`, namesOf)
    .option("--permissible-purpose <purpose>", PURPOSE_HELP)
    .option("--enable <resources>", `${ENABLE_HELP}; ${REPLACES}, \`none\` requests none`, namesOf)
    .option("--revoked-data <policy>", REVOKED_HELP)
    .option("--adopt-items", ADOPT_HELP)
    .option("--no-adopt-items", "leave public tokens to your backend")
    .option("--link-name <name>", LINK_NAME_HELP)
    .option("--link-language <code>", LINK_LANGUAGE_HELP)
    .option(REASON, REASON_HELP)
    .option("--yes", "do not ask for confirmation before rows are masked")
    .option("--json", "print JSON")
    .action(withCore(update));
}

interface UpdateFlags extends Json, CredentialFlags {
  name?: string;
  country?: string[];
  daysRequested?: string;
  includeOriginalDescription?: boolean;
  permissiblePurpose?: string;
  reveal?: string[];
  enable?: string[];
  adoptItems?: boolean;
  revokedData?: string;
  linkName?: string;
  linkLanguage?: string;
  reason?: string;
  yes?: true;
}

async function update({ database, vault, config }: Core, id: string, flags: UpdateFlags): Promise<void> {
  const { name, country, daysRequested, includeOriginalDescription, permissiblePurpose, reveal, enable } = flags;
  const changes: IntegrationChange = {
    ...credentialsIn(flags),
    name,
    country_codes: country?.map((code) => code.toUpperCase()),
    days_requested:
      daysRequested === undefined ? undefined : daysRequested === "default" ? null : wholeDays(daysRequested),
    include_original_description: includeOriginalDescription,
    consumer_report_permissible_purpose: permissiblePurpose === undefined ? undefined : purposeIn(permissiblePurpose),
    revealed_resources: reveal,
    enabled_resources: enable,
    adopt_items: flags.adoptItems,
    revoked_data: policyIn(flags.revokedData),
    link_client_name: flags.linkName,
    link_language: flags.linkLanguage,
  };
  if (Object.values(changes).every((value) => value === undefined)) {
    throw new TartanError(
      "invalid_request",
      "No setting to change was given; see `npx tartan integrations update --help`.",
    );
  }
  const before = await found(database, id);
  await confirmMasking(before, reveal, flags);
  if (flags.check) await checkChanged(before, changes);
  const updated = await updateIntegration(database, vault, id, changes, byUser(flags.reason));
  if (flags.json) return sayJson({ ...updated, url: integrationUrl(publicUrl(config), id) });
  say(`${green("✓")} ${bold(updated.name)} is changed`);
  if (daysRequested !== undefined) {
    tell("Items whose transactions are already initialised keep the length of their history.");
  }
  if (includeOriginalDescription !== undefined) {
    tell("Tartan reads each item's transactions again in full at its next sync.");
  }
  sayListChanges(before, updated);
}

/** `Production` means production; any other name is refused with the accepted ones. */
function readEnvironment(text: string): Environment {
  const name = ENVIRONMENTS.find((each) => each === text.trim().toLowerCase());
  if (name) return name;
  throw new InvalidArgumentError(`It must be ${ENVIRONMENTS.join(" or ")}${didYouMean(text, ENVIRONMENTS)}.`);
}

async function create(
  core: Core,
  answers: IntegrationAnswers,
  { check, json, reason }: IntegrationFlags,
): Promise<void> {
  checked(NewIntegration, answers, "integration");
  if (check) await checkCredentials(answers);
  const made = await createIntegration(core.database, core.vault, answers, byUser(reason));
  const url = integrationUrl(publicUrl(core.config), made.id);
  if (json) return sayJson({ ...made, url });
  say(`\n${green("✓")} ${check ? "Plaid accepts the credentials; " : ""}${bold(made.name)} is connected\n`);
  sayFacts({ id: made.id, "webhook URL": cyan(url), "webhook secret": yellow(made.webhook_secret) });
  say(`
${bold("What to do next")}
  1. Keep both values in your application's configuration; the secret is not shown again.
  2. Name the URL as ${cyan("webhook")} in /link/token/create, and move existing items with ${cyan("npx tartan items move-webhooks --to-intake")}.
  3. After each token exchange, post the item to the same URL:

${dim(`     curl -X POST ${url} \\
       -H 'Content-Type: application/json' -H 'Tartan-Webhook-Secret: <secret>' \\
       -d '{"webhook_type":"ITEM","webhook_code":"CREATED","item_id":"…","access_token":"…","user_id":"…"}'`)}

     or import those you have: ${cyan(`npx tartan items import items.csv --integration ${made.id}`)}`);
}

async function list({ database, config }: Core, { json }: Json): Promise<void> {
  const integrations = await listIntegrations(database);
  if (json)
    return sayJsonList(integrations.map((each) => ({ ...each, url: integrationUrl(publicUrl(config), each.id) })));
  sayTable(
    integrations,
    {
      id: ({ id }) => id,
      name: ({ name }) => bold(name),
      environment: ({ environment }) => environment,
      plaid: ({ plaid_url }) => dim(plaid_url),
      created: ({ created_at }) => ago(created_at),
    },
    "There is no integration yet: npx tartan integrations create plaid_item_v1",
  );
}

async function rotate(
  core: Core,
  id: string,
  flags: Json & { webhookSecret?: string; reason?: string },
): Promise<void> {
  const rotated = await rotateWebhookSecret(core.database, core.vault, id, flags.webhookSecret, byUser(flags.reason));
  if (flags.json) return sayJson({ id, ...rotated });
  say(`${green("✓")} the new secret is in use; the old one no longer works`);
  sayFacts({ "webhook secret": yellow(rotated.webhook_secret) });
}

type RemoveFlags = { purge?: true; yes?: true; reason?: string };

async function remove({ database }: Core, id: string, { purge, yes, reason }: RemoveFlags): Promise<void> {
  const more = purge ? ", its rows and its webhooks" : "";
  await confirm(`This deletes the secrets and tokens of ${id}${more}.`, { ...(yes && { yes }) });
  await deleteIntegration(database, id, { purge: purge === true }, byUser(reason));
  tell(`${green("✓")} ${id} is deleted`);
}
