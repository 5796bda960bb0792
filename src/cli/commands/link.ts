/** `tartan link …`: make Link tokens, exchange public tokens, and show what became of each. */
import { Command } from "commander";
import { TartanError } from "../../errors.ts";
import { listAdoptions, type Adoption } from "../../linking/adoptions.ts";
import { exchangePublicToken } from "../../linking/exchange.ts";
import { createLinkToken } from "../../linking/link-tokens.ts";
import type { LinkingDeps } from "../../linking/deps.ts";
import type { NewLinkToken } from "../../linking/link.schema.ts";
import { PUBLIC_TOKEN_STATUSES } from "../../model/statuses.ts";
import { byUser } from "../input/change.ts";
import { choiceOf, listOf, PAGE_SIZE_HELP, pageSize, USUAL_PAGE, wholeNumber } from "../input/flags.ts";
import {
  ago,
  bold,
  cyan,
  dim,
  green,
  red,
  say,
  sayFacts,
  sayJson,
  sayTable,
  short,
  state,
  tell,
} from "../output/print.ts";
import { publicUrl, withCore, type Core } from "../wiring/core.ts";
import { openLinking } from "../wiring/plaid-clients.ts";

interface Json {
  json?: true;
}

export function linkCommand(): Command {
  const link = new Command("link").description("Plaid Link: Link tokens, and public tokens that become items");
  link.addCommand(tokenCommand());
  link
    .command("exchange")
    .description("exchange the public token in PLAID_PUBLIC_TOKEN and link its item")
    .requiredOption("--integration <id>", "the integration whose Link token the session had")
    .option("--user <id>", "your identifier of the user")
    .option("--json", "print JSON")
    .action(withCore(exchange));
  link
    .command("list")
    .description("list public tokens that Tartan exchanged or tried to, newest first, with what became of each")
    .option("--integration <id>", "only those of this integration")
    .option("--status <status>", `only those with this status: ${choiceOf(PUBLIC_TOKEN_STATUSES)}`)
    .option("--item <id>", "only those that became this item")
    .option("--user <id>", "only those of this user, by your identifier")
    .option("--webhook <id>", "only those that this webhook brought")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  return link;
}

function tokenCommand(): Command {
  return new Command("token")
    .description("make a Link token, with its webhook URL and its user set right")
    .requiredOption("--integration <id>", "the integration whose Plaid client makes it")
    .option("--user <id>", "your identifier of the user, which becomes client_user_id")
    .option("--item <id>", "the item to repair or change, in update mode")
    .option("--account-selection", "in update mode: let the user choose the accounts again")
    .option("--products <names>", "Plaid's products, separated by commas", listOf)
    .option("--optional-products <names>", "products whose failure is no obstacle", listOf)
    .option("--required-if-supported <names>", "products where the institution has them", listOf)
    .option("--consented-products <names>", "products that the user consents to beside", listOf)
    .option("--client-name <name>", "your application, as Link shows it (default: link_client_name of the integration)")
    .option("--language <code>", "the language of Link (default: link_language of the integration)")
    .option("--country <codes...>", "countries whose institutions Link shows (default: the integration's)")
    .option("--days-requested <days>", "days of transactions (default: the integration's)", wholeNumber(1, 730))
    .option("--hosted", "a session on a page of Plaid's; prints its URL")
    .option("--completion-uri <url>", "where a hosted session sends the user at its end")
    .option("--delivery <method>", "Plaid sends the URL of a hosted session to the user: sms or email")
    .option("--adopt", "link what the user adds, from Plaid's LINK webhooks (default: adopt_items of the integration)")
    .option("--no-adopt", "leave public tokens to your backend")
    .option("--plaid <json>", "more fields of Plaid's /link/token/create, as a JSON object")
    .option("--json", "print JSON")
    .action(withCore(token));
}

interface TokenFlags extends Json {
  integration: string;
  user?: string;
  item?: string;
  accountSelection?: true;
  products?: string[];
  optionalProducts?: string[];
  requiredIfSupported?: string[];
  consentedProducts?: string[];
  clientName?: string;
  language?: string;
  country?: string[];
  daysRequested?: string;
  hosted?: true;
  completionUri?: string;
  delivery?: "sms" | "email";
  adopt?: boolean;
  plaid?: string;
}

const depsOf = async (core: Core): Promise<LinkingDeps> => {
  const { vault, logger, config } = core;
  return { ...(await openLinking(core)), vault, logger, dataDir: config.dataDir };
};

async function token(core: Core, flags: TokenFlags): Promise<void> {
  const deps = { ...(await depsOf(core)), publicUrl: publicUrl(core.config) };
  const made = await createLinkToken(deps, requestOf(flags), byUser());
  if (flags.json) return sayJson(made);
  sayFacts({
    "Link token": bold(made.link_token),
    ends: ago(made.expiration),
    "hosted page": made.hosted_link_url ? cyan(made.hosted_link_url) : null,
    user: made.user_id,
    "update mode of": made.item_id,
    webhooks: made.webhook,
    "new items": made.item_id ? null : made.adopt ? "are linked by Tartan" : "your backend exchanges the public token",
  });
}

/** Flags that were not given are undefined, and absent. */
function requestOf(flags: TokenFlags): NewLinkToken {
  const { hosted, completionUri, delivery, daysRequested } = flags;
  const isHosted = hosted === true || completionUri !== undefined || delivery !== undefined;
  return {
    integration_id: flags.integration,
    user_id: flags.user,
    item_id: flags.item,
    account_selection: flags.accountSelection,
    products: flags.products,
    optional_products: flags.optionalProducts,
    required_if_supported_products: flags.requiredIfSupported,
    additional_consented_products: flags.consentedProducts,
    client_name: flags.clientName,
    language: flags.language,
    country_codes: flags.country?.map((code) => code.toUpperCase()),
    days_requested: daysRequested === undefined ? undefined : Number(daysRequested),
    hosted_link: isHosted ? { completion_redirect_uri: completionUri, delivery_method: delivery } : undefined,
    adopt: flags.adopt,
    plaid: flags.plaid === undefined ? undefined : objectIn(flags.plaid),
  };
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw new TartanError("invalid_request", "--plaid is no JSON object.", {
    fields: { plaid: 'must be a JSON object, such as {"redirect_uri":"https://acme.example.com/oauth"}' },
  });
}

async function exchange(core: Core, flags: Json & { integration: string; user?: string }): Promise<void> {
  const publicToken = process.env["PLAID_PUBLIC_TOKEN"];
  if (!publicToken) {
    throw new TartanError("invalid_request", "Put the public token into PLAID_PUBLIC_TOKEN.", {
      fields: { public_token: "set PLAID_PUBLIC_TOKEN; a process list does not show it" },
    });
  }
  const deps = await depsOf(core);
  const given = { integration_id: flags.integration, public_token: publicToken, user_id: flags.user };
  const linked = await exchangePublicToken(deps, given, byUser());
  if (flags.json) return sayJson({ ...linked, integration_id: flags.integration });
  const what = linked.created ? "is linked" : linked.webhook_id ? "is updated" : "was linked with this token before";
  say(`${green("✓")} ${linked.item_id} ${what}${linked.webhook_id ? " and will be synced" : ""}`);
}

interface ListFlags extends Json {
  integration?: string;
  status?: string;
  item?: string;
  user?: string;
  webhook?: string;
  limit: string;
  cursor?: string;
}

async function list({ database }: Core, flags: ListFlags): Promise<void> {
  const page = await listAdoptions(database, {
    integration_id: flags.integration,
    status: flags.status as Adoption["status"] | undefined,
    item_id: flags.item,
    user_id: flags.user,
    webhook_id: flags.webhook,
    limit: Number(flags.limit),
    cursor: flags.cursor,
  });
  if (flags.json) return sayJson(page);
  sayTable(
    page.data,
    {
      received: ({ received_at }) => ago(received_at),
      status: ({ status }) => state(status),
      item: ({ item_id }) => short(item_id),
      user: ({ user_id }) => short(user_id),
      by: ({ adopt }) => (adopt ? "adoption" : "request"),
      attempts: ({ attempts }) => String(attempts),
      why: ({ reason, last_error }) => red(reason ?? last_error ?? ""),
    },
    "No public token matches: those in Plaid's LINK webhooks are adopted with adopt_items, and `npx tartan link exchange` takes one.",
  );
  sayReasons(page.data);
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

/** What each failure of the list means, once, and what to do about it. */
function sayReasons(tokens: readonly Adoption[]): void {
  const reasons = new Map(tokens.flatMap((one) => (one.message === null ? [] : [[one.reason ?? one.last_error, one]])));
  if (reasons.size > 0) say();
  for (const [code, { message, next_step }] of reasons as Map<string, Adoption>)
    say(`${red(code)}  ${message ?? ""} ${next_step ?? ""}`);
}
