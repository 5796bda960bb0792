/** `tartan deliveries …`: deliveries and their attempts; sending one again, cancelling one. */
import { Command } from "commander";
import { TartanError } from "../../errors.ts";
import { cancelDelivery, getDelivery, listDeliveries, type DeliveryFilter } from "../../relay/ledger/deliveries.ts";
import { createReplay } from "../../relay/jobs/jobs.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { DELIVERY_STATUSES } from "../../model/statuses.ts";
import { PAGE_SIZE_HELP, pageSize } from "../input/flags.ts";
import { sayDeliveries, sayDelivery } from "../output/deliveries.ts";
import { describeDelivery, followDeliveries } from "../output/delivery-log.ts";
import { ofRelay } from "../../api/nouns/jobs/every-job.ts";
import { sayJob } from "../output/jobs.ts";
import { green, say, sayJson } from "../output/print.ts";
import { untilStopped } from "../wiring/signals.ts";

interface Flags {
  destination?: string;
  item?: string;
  status?: string;
  type?: string;
  cause?: string;
  limit: string;
  cursor?: string;
  follow?: true;
  json?: true;
}

export function deliveriesCommand(): Command {
  const deliveries = new Command("deliveries").description("deliveries of events to destinations, and every attempt");
  deliveries
    .command("list")
    .description("list deliveries, newest first")
    .option("--destination <id>", "only those to this destination")
    .option("--item <id>", "only those of this item's events")
    .option(
      "--status <status>",
      `only those with this status: ${DELIVERY_STATUSES.join(", ")}, or undelivered for all that have not arrived`,
    )
    .option("--type <type>", "only those of events of this type, such as transactions.changed")
    .option("--cause <cause>", "only those with this cause, such as status_500 or timeout")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, "25")
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--follow", "print attempts as they end")
    .option("--json", "print JSON")
    .action(withCore(list));
  deliveries
    .command("show <id>")
    .description("show one delivery and its attempts")
    .option("--json", "print JSON")
    .action(withCore(show));
  deliveries
    .command("replay <id>")
    .description("send a delivery again: the same bytes under the same id")
    .option("--reason <text>", "why; shown with the job")
    .option("--json", "print JSON")
    .action(withCore(sendAgain));
  deliveries
    .command("cancel <id>")
    .description("cancel a delivery that waits")
    .option("--json", "print JSON")
    .action(withCore(cancel));
  return deliveries;
}

function filterOf({ destination, item, status, type, cause, limit, cursor }: Flags): DeliveryFilter {
  return {
    limit: Number(limit),
    ...(destination && { destination_id: destination }),
    ...(item && { item_id: item }),
    ...(status && { status }),
    ...(type && { event_type: type }),
    ...(cause && { cause }),
    ...(cursor && { cursor }),
  } as DeliveryFilter;
}

async function list({ database }: Core, flags: Flags): Promise<void> {
  const filter = filterOf(flags);
  if (!flags.follow) {
    const page = await listDeliveries(database, filter);
    return flags.json ? sayJson(page) : sayDeliveries(page, "No delivery matches.");
  }
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  await followDeliveries(database, {
    filter,
    fromTheStart: false,
    signal: stop.signal,
    onAttempt: (delivery) => say(flags.json ? JSON.stringify(delivery) : describeDelivery(delivery)),
  });
}

async function deliveryOf(database: Core["database"], id: string) {
  const delivery = await getDelivery(database, id);
  if (!delivery) throw new TartanError("not_found", `There is no delivery ${id}; see \`npx tartan deliveries list\`.`);
  return delivery;
}

async function show({ database }: Core, id: string, { json }: { json?: true }): Promise<void> {
  const delivery = await deliveryOf(database, id);
  if (json) return sayJson(delivery);
  sayDelivery(delivery);
}

async function sendAgain({ database }: Core, id: string, flags: { reason?: string; json?: true }): Promise<void> {
  const { destination_id, event_id } = await deliveryOf(database, id);
  const replay = { destination_id, event_id, reason: flags.reason ?? "", dry_run: false as const };
  const job = ofRelay(await createReplay(database, replay));
  if (flags.json) return sayJson(job);
  say(`${green("✓")} ${id} will be sent again`);
  sayJob(job, {});
}

async function cancel({ database }: Core, id: string, { json }: { json?: true }): Promise<void> {
  const cancelled = await cancelDelivery(database, id);
  if (json) return sayJson(cancelled);
  say(`${green("✓")} ${id} is cancelled`);
}
