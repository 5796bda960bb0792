/** `tartan webhooks …`: the journal: accepted webhooks, their outcomes, and refusals. */
import { Command } from "commander";
import { TartanError } from "../../errors.ts";
import type { WebhookFilter, WebhookRecord } from "../../model/records.ts";
import { listKnownWebhooks, meaningOf } from "../../sync/webhook-meaning.ts";
import { listRefusals } from "../../journal/refusals.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { recordsOf } from "../wiring/engines.ts";
import { listSent } from "../../silence/sent.ts";
import { SENT_STATUSES } from "../../silence/sent.schema.ts";
import { SOURCES } from "../../model/webhook.ts";
import { choiceOf, PAGE_SIZE_HELP, pageSize } from "../input/flags.ts";
import { followWebhooks } from "../output/webhook-log.ts";
import {
  ago,
  dim,
  say,
  sayFacts,
  sayJson,
  sayJsonList,
  sayTable,
  short,
  state,
  tell,
  yellow,
} from "../output/print.ts";
import { untilStopped } from "../wiring/signals.ts";
import { unprovenCommand } from "./webhooks/unproven.ts";

interface Flags {
  item?: string;
  user?: string;
  type?: string;
  code?: string;
  source?: string;
  integration?: string;
  limit: string;
  cursor?: string;
  follow?: true;
  json?: true;
}

export function webhooksCommand(): Command {
  const webhooks = new Command("webhooks").description("every accepted webhook and its outcome");
  webhooks
    .command("list")
    .description("list webhooks, newest first")
    .option("--item <id>", "only those of this item")
    .option("--user <id>", "only those of this user, by your identifier")
    .option("--type <type>", "only those of this type, such as TRANSACTIONS")
    .option("--code <code>", "only those of this code, such as SYNC_UPDATES_AVAILABLE; with --type")
    .option("--source <source>", `only those from ${choiceOf(SOURCES)}`)
    .option("--integration <id>", "only those of this integration")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, "25")
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--follow", "print webhooks as they are processed")
    .option("--json", "print JSON")
    .action(withCore(list));
  webhooks
    .command("show <id>")
    .description("show one webhook with its body")
    .option("--json", "print JSON")
    .action(withCore(show));
  webhooks
    .command("types")
    .description("list the webhooks that Tartan knows, and what it reads after each")
    .option("--type <type>", "only those of this type, such as TRANSACTIONS")
    .option("--json", "print JSON")
    .action(types);
  webhooks
    .command("sent")
    .description("list the webhooks that Plaid says it sent, and how it was answered, the latest first")
    .option("--integration <id>", "only those of this integration")
    .option("--item <id>", "only those of this item")
    .option("--status <status>", `only those that are ${choiceOf(SENT_STATUSES)}`)
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, "25")
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(sent));
  webhooks
    .command("refusals")
    .description("list the latest refusals and their reasons")
    .option("--integration <id>", "only those of this integration")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, "25")
    .option("--json", "print JSON")
    .action(withCore(refusals));
  webhooks.addCommand(unprovenCommand());
  return webhooks;
}

function filterOf({ item, user, type, code, source, integration, limit, cursor }: Flags): WebhookFilter {
  return {
    limit: Number(limit),
    ...(item && { item_id: item }),
    ...(user && { user_id: user }),
    ...(type && { type }),
    ...(code && { code }),
    ...(source && { source }),
    ...(integration && { integration_id: integration }),
    ...(cursor && { cursor }),
  } as WebhookFilter;
}

async function list(core: Core, flags: Flags): Promise<void> {
  const filter = filterOf(flags);
  if (flags.follow) return follow(core, filter, flags);
  const page = await recordsOf(core).list(filter);
  if (flags.json) return sayJson(page);
  sayTable(
    page.data,
    {
      id: ({ id }) => id,
      received: ({ received_at }) => ago(received_at),
      source: ({ source }) => (source === "PLAID" ? source : yellow(source)),
      webhook: ({ webhook_type, webhook_code }) => `${webhook_type ?? "?"}/${webhook_code ?? "?"}`,
      item: ({ item_id }) => short(item_id),
      user: ({ user_id }) => short(user_id),
      outcome: (webhook) => state(outcomeOf(webhook)),
    },
    "No webhook matches.",
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

const outcomeOf = ({ processed_at, update_info }: WebhookRecord): string =>
  processed_at ? String((update_info as { outcome?: unknown } | null)?.outcome ?? "recorded") : "due";

async function follow(core: Core, filter: WebhookFilter, { json }: Flags): Promise<void> {
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  await followWebhooks(recordsOf(core), {
    filter,
    fromTheStart: false,
    signal: stop.signal,
    onWebhook: (line, webhook) => say(json ? JSON.stringify(webhook) : line),
  });
}

async function show(core: Core, id: string, { json }: { json?: true }): Promise<void> {
  const webhook = await recordsOf(core).get(id);
  if (!webhook) throw new TartanError("not_found", `There is no webhook ${id}; see \`npx tartan webhooks list\`.`);
  const about = meaningOf(webhook);
  if (json) return sayJson({ ...webhook, about });
  const { received_at, processed_at, source, item_id, user_id, integration_id, verification } = webhook;
  sayFacts({
    id: webhook.id,
    webhook: `${webhook.webhook_type ?? "?"}/${webhook.webhook_code ?? "?"}`,
    means: about.meaning ?? yellow("Tartan does not know this type and code."),
    about: webhook.subject && `${webhook.subject.kind} ${webhook.subject.id}`,
    reads: about.resources.join(", ") || (about.unread ?? "nothing"),
    effect: about.effect,
    received: `${received_at} ${dim(ago(received_at))}`,
    processed: processed_at ? `${processed_at} ${dim(ago(processed_at))}` : "not yet",
    source,
    integration: integration_id,
    item: item_id,
    user: user_id,
    "signed by key": verification?.key_id,
    outcome: state(outcomeOf(webhook)),
  });
  if (webhook.body_pruned) say(`\n${dim("The body is no longer kept; its SHA-256 is")} ${webhook.body_sha256}`);
  else say(`\n${JSON.stringify(webhook.webhook, null, 2)}`);
  if (webhook.update_info) say(`\n${dim("update_info")} ${JSON.stringify(webhook.update_info, null, 2)}`);
}

function types({ type, json }: { type?: string; json?: true }): void {
  const all = listKnownWebhooks();
  const names = [...new Set(all.map((each) => each.type))];
  if (type !== undefined && !names.includes(type))
    throw new TartanError(
      "invalid_request",
      `There is no webhook type ${type} in the catalogue; it has ${names.join(", ")}.`,
    );
  const listed = all.filter((each) => type === undefined || each.type === type);
  if (json) return sayJsonList(listed);
  sayTable(
    listed,
    {
      webhook: (each) => `${each.type}/${each.code}${each.deprecated ? dim(" (deprecated)") : ""}`,
      about: ({ subjects }) => subjects.join(", ") || dim("–"),
      reads: ({ resources }) => resources.join(", ") || dim("–"),
      meaning: ({ meaning }) => meaning,
    },
    "The catalogue is empty.",
  );
}

async function refusals({ database }: Core, { integration, limit, json }: Flags): Promise<void> {
  const page = await listRefusals(database, {
    limit: Number(limit),
    ...(integration && { integration_id: integration }),
  });
  if (json) return sayJson(page);
  sayTable(
    page.data,
    {
      when: ({ refused_at }) => ago(refused_at),
      to: ({ integration_id, listener_id }) => short(integration_id ?? listener_id, 24),
      reason: ({ reason }) => yellow(reason),
      times: ({ count }) => String(count),
      from: ({ remote_address }) => remote_address ?? "",
      detail: ({ detail }) => dim(detail ?? ""),
    },
    "Nothing was refused.",
  );
}

interface SentFlags {
  integration?: string;
  item?: string;
  status?: string;
  limit: string;
  cursor?: string;
  json?: true;
}

async function sent({ database }: Core, { integration, item, limit, json, ...flags }: SentFlags): Promise<void> {
  const page = await listSent(database, { integration_id: integration, item_id: item, limit: Number(limit), ...flags });
  if (json) return sayJson(page);
  sayTable(
    page.data,
    {
      sent: ({ sent_at }) => ago(sent_at),
      webhook: ({ webhook_type, webhook_code }) => `${webhook_type}/${webhook_code}`,
      item: ({ item_id }) => short(item_id),
      tries: ({ attempts }) => String(attempts),
      outcome: ({ outcome }) => state(outcome),
      "what happened": ({ message, status }) => (status === "DELIVERED" ? dim(message) : yellow(message)),
    },
    "Plaid's list has none, or Plaid has not opened it to your client: `npx tartan status` says which.",
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}
