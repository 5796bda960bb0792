/** `tartan listen`: forwards events to a developer's machine as they happen, and prints each answer. */
import { Command, Option } from "commander";
import { TartanError } from "../../errors.ts";
import { newSecret } from "../../relay/senders/signing.ts";
import type { Exchange } from "../../relay/model/types.ts";
import { openCore } from "../wiring/core.ts";
import { webUrl } from "../input/flags.ts";
import { Forwarder, type LiveEvent } from "./listen/forward.ts";
import { liveEvents, type LiveFilter } from "../output/live-events.ts";
import { cyan, dim, green, red, say, short, tell, yellow } from "../output/print.ts";
import { remoteEvents } from "./listen/remote.ts";
import { untilStopped } from "../wiring/signals.ts";

interface Flags {
  forwardTo?: string;
  secret?: string;
  events?: string[];
  /** the former name of --events */
  types?: string[];
  item?: string;
  original?: true;
  history?: true;
  url?: string;
  key?: string;
  json?: true;
}

export function listenCommand(): Command {
  return new Command("listen")
    .description("forward events from now on to your machine, signed, and show each answer")
    .requiredOption("--forward-to <url>", "the URL to post to, such as http://localhost:3000/webhooks/tartan")
    .option("--secret <secret>", "sign with this whsec_… (default: a new one, which is printed)")
    .option(
      "--events <types...>",
      "only these types, such as transactions.changed or item.* (default: all except Tartan's own)",
    )
    .addOption(new Option("--types <types...>").hideHelp())
    .option("--item <id>", "only events of this item")
    .option("--history", "also events of an item's first reading")
    .option("--original", "Plaid's webhooks as Plaid sent them, with Plaid-Verification")
    .option("--url <url>", "listen to a remote Tartan, over its API")
    .option("--key <key>", "its API key (better: TARTAN_ADMIN_KEY, which no process list shows)")
    .option("--json", "print each answer as a line of JSON")
    .action(listen);
}

async function listen(flags: Flags): Promise<void> {
  const forwardTo = webUrl(flags.forwardTo ?? "", "--forward-to");
  const secret = flags.secret ?? newSecret("v1").secret;
  const stop = new AbortController();
  await using forwarder = new Forwarder({ url: forwardTo, secret, original: flags.original === true });
  void untilStopped().then(() => stop.abort());
  const types = flags.original ? ["webhook.received"] : (flags.events ?? flags.types);
  const filter: LiveFilter = {
    ...(types && { types }),
    ...(flags.item && { item_id: flags.item }),
    ...(flags.history && { history: true }),
  };
  const onOpen = () => greet(forwardTo, flags.secret ? null : secret);
  const forwardAll = async (events: AsyncIterable<string>) => {
    for await (const text of events) {
      const exchange = await forwarder.forward(text, stop.signal);
      if (stop.signal.aborted) return;
      if (exchange) report(JSON.parse(text) as LiveEvent, exchange, flags);
      else if (!flags.json)
        say(dim(`${lineOf(JSON.parse(text) as LiveEvent)}  ${whyNot(JSON.parse(text) as LiveEvent)}`));
    }
  };
  try {
    if (flags.url !== undefined) return await forwardAll(fromElsewhere(flags, filter, stop.signal, onOpen));
    await using core = await openCore(process.env, { as: "command", logLevel: "warn", poolSize: 2 });
    await forwardAll(liveEvents(core.database, { ...filter, from: "now", signal: stop.signal, onOpen }));
  } catch (error) {
    throw isExpired(error) ? tooLate() : error;
  }
}

const isExpired = (error: unknown): boolean => error instanceof TartanError && error.code === "cursor_expired";

/** The API's message names a cursor, which a user of `tartan listen` never sees. */
const tooLate = (): TartanError =>
  new TartanError(
    "cursor_expired",
    "Events that were not forwarded yet have been deleted. Run the command again to forward events from now on; read the missing changes from the mirror.",
  );

/** Why an event has no original that could be forwarded. */
const whyNot = ({ data }: LiveEvent): string =>
  data.tokens_cut
    ? "not forwarded: it holds tokens; only a route with the form original passes them on"
    : "not forwarded: Plaid did not sign it";

function fromElsewhere(
  flags: Flags,
  filter: LiveFilter,
  signal: AbortSignal,
  onOpen: () => void,
): AsyncIterable<string> {
  const key = flags.key ?? process.env["TARTAN_ADMIN_KEY"];
  if (!key) {
    throw new TartanError("invalid_request", "Listening to a remote Tartan needs its API key.", {
      fields: { "--key": "give it, or set TARTAN_ADMIN_KEY" },
    });
  }
  const onCut = (reason: string) => tell(yellow(`connection lost (${reason}); trying again`));
  return remoteEvents({ ...filter, url: webUrl(flags.url ?? "", "--url"), key, signal, onOpen, onCut });
}

function greet(forwardTo: string, secret: string | null): void {
  tell(`${green("●")} forwarding to ${cyan(forwardTo)}  ${dim("Ctrl-C ends it")}`);
  if (secret !== null) tell(`  ${dim("signing secret")}  ${yellow(secret)}\n`);
}

function report(event: LiveEvent, exchange: Exchange, { json }: Flags): void {
  const { status, cause, durationMs } = exchange;
  const { id, type, item_id } = event;
  const answer = { id, type, item_id, status, cause, duration_ms: Math.round(durationMs) };
  if (json) return say(JSON.stringify(answer));
  const shown = cause === null ? green(String(status)) : red(status === null ? cause : String(status));
  say(`${lineOf(event)}  ${shown} ${dim(`${answer.duration_ms} ms`)}`);
}

/** As wide as the longest usual name. */
const NAME_WIDTH = 36;

function lineOf({ type, item_id, data, occurred_at }: LiveEvent): string {
  const name = data.webhook_code ? `${data.webhook_type ?? "?"}/${data.webhook_code}` : type;
  const time = new Date(occurred_at).toTimeString().slice(0, 8);
  return `${dim(time)}  ${cyan(name.padEnd(NAME_WIDTH))}  ${dim(short(item_id, 14).padEnd(14))}`;
}
