/** `tartan items move-webhooks`: plans a move of webhook URLs, asks for confirmation, starts it, and shows its progress. */
import { Command } from "commander";
import { ofFleet } from "../../../api/nouns/jobs/every-job.ts";
import { TartanError } from "../../../errors.ts";
import { PER_MINUTE, type WebhookMoveRequest } from "../../../fleet/webhook-move.schema.ts";
import { createWebhookMove, type MovePlan } from "../../../fleet/webhook-moves.ts";
import { byUser, REASON, REASON_HELP } from "../../input/change.ts";
import { confirm } from "../../input/confirm.ts";
import { wholeNumber } from "../../input/flags.ts";
import { sayJob } from "../../output/jobs.ts";
import { cyan, dim, plural, say, sayJson, sayTable } from "../../output/print.ts";
import { publicUrl, withCore, type Core } from "../../wiring/core.ts";
import { followJob } from "../jobs/run.ts";

interface Flags {
  to?: string;
  toIntake?: true;
  remove?: true;
  rollBack?: string;
  integration?: string;
  user?: string;
  item?: string[];
  from?: string;
  perMinute?: string;
  reason?: string;
  dryRun?: true;
  follow?: true;
  yes?: true;
  json?: true;
}

export const moveWebhooksCommand = (): Command =>
  new Command("move-webhooks")
    .description(
      "give items another webhook URL at Plaid (/item/webhook/update), as a job; name one of --to, --to-intake, --remove, --roll-back",
    )
    .option("--to <url>", "the URL that gets their webhooks")
    .option("--to-intake", "their webhooks come to Tartan")
    .option("--remove", "they have no webhook URL any more")
    .option("--roll-back <job>", "each item of this ended move gets its former URL back")
    .option("--integration <id>", "only items of this integration")
    .option("--user <id>", "only items of this user, by your identifier")
    .option("--item <ids...>", "only these items")
    .option("--from <prefix>", "only items whose present URL begins with this")
    .option(
      "--per-minute <count>",
      "begin at most so many items a minute (default: 600)",
      wholeNumber(PER_MINUTE.least, PER_MINUTE.most),
    )
    .option(REASON, REASON_HELP)
    .option("--dry-run", "only show what would be done")
    .option("--follow", "wait until the job is done")
    .option("--yes", "do not ask for confirmation")
    .option("--json", "print JSON")
    .action(withCore(moveWebhooks));

async function moveWebhooks({ database, config }: Core, flags: Flags): Promise<void> {
  const by = byUser(flags.reason);
  const ask = (dry_run: boolean) =>
    createWebhookMove(database, { ...requestOf(flags), dry_run }, { publicUrl: publicUrl(config), by });
  const plan = await ask(true);
  if (!("groups" in plan)) throw new TartanError("internal", "a plan was requested and a job was made");
  const { dryRun, json, yes } = flags;
  if (dryRun || plan.count === 0) return json ? sayJson(plan) : sayPlan(plan);
  if (process.stdin.isTTY && !json && !yes) sayPlan(plan);
  await confirm(`This gives ${plural(plan.count, "item")} another webhook URL at Plaid.`, flags);
  const job = await ask(false);
  if ("groups" in job) throw new TartanError("internal", "a job was requested and only planned");
  if (flags.follow || (process.stderr.isTTY && !flags.json)) return followJob(database, job.id, flags);
  sayJob(ofFleet(job), flags);
}

function requestOf(flags: Flags): WebhookMoveRequest {
  const { to, toIntake, remove, rollBack, integration, user, item, from, perMinute, reason } = flags;
  const request: WebhookMoveRequest = {
    ...(to !== undefined && { to }),
    ...(toIntake && { to_intake: toIntake }),
    ...(remove && { remove }),
    ...(rollBack !== undefined && { roll_back: rollBack }),
    ...(integration !== undefined && { integration_id: integration }),
    ...(user !== undefined && { user_id: user }),
    ...(item && { item_ids: item }),
    ...(from !== undefined && { from }),
    ...(perMinute !== undefined && { per_minute: Number(perMinute) }),
  };
  return reason === undefined ? request : { ...request, reason };
}

function sayPlan({ count, unchanged, groups }: MovePlan): void {
  sayTable(
    groups,
    {
      items: ({ items }) => String(items),
      "present URL": ({ from, from_known }) => (from_known ? urlText(from) : dim("not read yet")),
      "new URL": ({ to }) => cyan(urlText(to)),
    },
    "No linked item matches.",
  );
  if (count > 0) say(dim(`${plural(count, "item")}; ${unchanged} have the URL already, as far as the mirror knows`));
}

const urlText = (url: string | null): string => url ?? "none";
