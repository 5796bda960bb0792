/** `tartan items …`: link, show, sync and unlink items. */
import { Command } from "commander";
import { TartanError } from "../../errors.ts";
import { eraseItem, unlinkItem } from "../../lifecycle/items.ts";
import { linkItem } from "../../sync/linking.ts";
import { requestSync } from "../../sync/queries.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { confirm } from "../input/confirm.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { ITEM_STATUSES, NOTICE_KINDS } from "../../model/statuses.ts";
import { choiceOf, listOf, PAGE_SIZE_HELP, pageSize, wholeNumber, USUAL_PAGE } from "../input/flags.ts";
import { checkItems } from "./items/check.ts";
import { PER_MINUTE } from "../../fleet/webhook-move.schema.ts";
import { statement } from "./items/statement.ts";
import { rotateCommand } from "./items/rotate-token.ts";
import { importItems } from "./items/import.ts";
import { knownItem } from "./items/known.ts";
import { listItemsOf } from "./items/list.ts";
import { moveWebhooksCommand } from "./items/move-webhooks.ts";
import { showItem } from "./items/show.ts";
import { openLinking } from "../wiring/plaid-clients.ts";
import { green, say, sayJson, tell } from "../output/print.ts";

interface Json {
  json?: true;
}

/** Each link takes a connection and a request to Plaid. */
const AT_ONCE_MAX = 100;
const AT_ONCE_HELP = `how many items at the same time, 1 to ${AT_ONCE_MAX}`;

export function itemsCommand(): Command {
  const items = new Command("items").description("the Plaid items whose data Tartan mirrors");
  items
    .command("list")
    .description("list items")
    .option("--integration <id>", "only items of this integration")
    .option("--user <id>", "only items of this user, by your identifier")
    .option("--status <status>", `only items with this status: ${choiceOf(ITEM_STATUSES)}`)
    .option("--notice <kind>", `only items with such a notice: ${choiceOf(NOTICE_KINDS)}`)
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(listItemsOf));
  items
    .command("show <item_id>")
    .description("show one item and its latest runs")
    .option("--json", "print JSON")
    .action(withCore(showItem));
  items
    .command("add <item_id>")
    .description("link one item; PLAID_ACCESS_TOKEN holds its access token")
    .requiredOption("--integration <id>", "the integration whose Plaid client made the access token")
    .option("--user <id>", "your identifier of the user")
    .option("--json", "print JSON")
    .action(withCore(add));
  items
    .command("import <file>")
    .description("link many items from CSV (with a header) or JSONL: item_id, access_token, user_id")
    .requiredOption("--integration <id>", "the integration whose Plaid client made the access tokens")
    .option(
      "--report <file>",
      "the report of each line, from which a second run resumes (default: <file>.report.jsonl)",
    )
    .option("--concurrency <count>", AT_ONCE_HELP, wholeNumber(1, AT_ONCE_MAX), "8")
    .option("--json", "print JSON")
    .action(withCore(importItems, { poolSize: 12 }));
  items
    .command("sync <item_id>")
    .description("bring one item up to date now")
    .option("--resources <names>", RESOURCES_HELP, listOf)
    .option("--full", "read everything again and mark as removed what Plaid no longer has")
    .option("--json", "print JSON")
    .action(withCore(sync));
  items.addCommand(checkCommand());
  items.addCommand(rotateCommand());
  items.addCommand(statementCommand());
  items.addCommand(moveWebhooksCommand());
  items.addCommand(removeCommand());
  return items;
}

const RESOURCES_HELP =
  "only these resources, separated by commas; Plaid may add and bill the product of one that the item lacks";

const checkCommand = (): Command =>
  new Command("check")
    .argument("[item_id]")
    .description("prove one item, or many as a job, against Plaid, row for row; print and heal what differs")
    .option("--all", "all linked items, as a job")
    .option(
      "--integration <id>",
      "all linked items of this integration; with an item, which integration is meant if several link it",
    )
    .option("--user <id>", "all linked items of this user, by your identifier")
    .option("--resources <names>", "only these resources, separated by commas", listOf)
    .option(
      "--per-minute <count>",
      "begin at most so many items a minute (default: 120)",
      wholeNumber(PER_MINUTE.least, PER_MINUTE.most),
    )
    .option(REASON, REASON_HELP)
    .option("--dry-run", "only say how many items it would be about")
    .option("--follow", "wait until the job is done")
    .option("--no-wait", "of one item: only request it")
    .option("--yes", "do not ask for confirmation")
    .option("--json", "print JSON")
    .action(withCore(checkItems));

const statementCommand = (): Command =>
  new Command("statement")
    .argument("<item_id>")
    .argument("<statement_id>")
    .description("fetch the PDF of a statement from Plaid; Tartan keeps nothing of it")
    .requiredOption("--output <file>", "where to write it; an existing file is replaced")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON")
    .action(withCore(statement));

const removeCommand = (): Command =>
  new Command("remove")
    .argument("<item_id>")
    .description("delete its token and stop syncing it; its rows stay")
    .option("--erase", "also delete its mirrored rows and journaled webhooks")
    .option(REASON, REASON_HELP)
    .option("--yes", "do not ask for confirmation")
    .action(withCore(remove));

async function add(core: Core, itemId: string, flags: Json & { integration: string; user?: string }): Promise<void> {
  const accessToken = process.env["PLAID_ACCESS_TOKEN"];
  if (!accessToken) {
    throw new TartanError("invalid_request", "Put the item's access token into PLAID_ACCESS_TOKEN.", {
      fields: { access_token: "set PLAID_ACCESS_TOKEN; a process list does not show it" },
    });
  }
  const linked = await linkItem(await openLinking(core), {
    integration_id: flags.integration,
    item_id: itemId,
    access_token: accessToken,
    ...(flags.user && { user_id: flags.user }),
  });
  if (flags.json) return sayJson(linked);
  say(`${green("✓")} ${itemId} is ${linked.created ? "linked" : "updated"} and will be synced`);
}

type SyncFlags = Json & { full?: true; resources?: string[] };

async function sync({ database }: Core, itemId: string, { full, resources, json }: SyncFlags): Promise<void> {
  await knownItem(database, itemId);
  await requestSync(database, itemId, { full: full === true, ...(resources && { resources }) });
  if (json) return sayJson({ item_id: itemId, due: true });
  say(`${green("✓")} ${itemId} will be synced now`);
}

type RemoveFlags = { erase?: true; yes?: true; reason?: string };

async function remove({ database }: Core, itemId: string, { erase, yes, reason }: RemoveFlags): Promise<void> {
  const item = await knownItem(database, itemId);
  const more = erase ? ", its rows and its webhooks" : "";
  await confirm(`This deletes the token of ${itemId}${more}.`, { ...(yes && { yes }) });
  if (erase) await eraseItem(database, item.integration_id, itemId, byUser(reason));
  else await unlinkItem(database, item.integration_id, itemId, byUser(reason));
  tell(`${green("✓")} ${itemId} is ${erase ? "erased" : "no longer synced"}`);
}
