/** `tartan destinations …`: where events are sent, and the health of each destination. */
import { Command, Option } from "commander";
import { TartanError } from "../../errors.ts";
import { listDeliveries } from "../../relay/ledger/deliveries.ts";
import { deleteDestination } from "../../relay/delete-destination.ts";
import {
  createDestination,
  disableDestination,
  enableDestination,
  getDestination,
  listDestinations,
  pauseDestination,
  resumeDestination,
  rotateSigningKey,
  updateDestination,
} from "../../relay/destinations/destinations.ts";
import { createRoute } from "../../relay/routing/routes.ts";
import { confirm } from "../input/confirm.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { destinationDeps } from "../wiring/destination-deps.ts";
import { KeyRotation } from "../../relay/destinations/destination.schema.ts";
import { SIGNING_SCHEMES, type SigningScheme } from "../../relay/senders/signing.ts";
import { numberOf, PAGE_SIZE_HELP, pageSize, rangeOf, USUAL_PAGE } from "../input/flags.ts";
import { sayDeliveries } from "../output/deliveries.ts";
import { describeFilter, stateOf } from "../output/describe.ts";
import { addDestinationOptions, readDestination, type DestinationFlags } from "../input/destination-flags.ts";
import { showCommand } from "./destinations/show.ts";
import { testCommand } from "./destinations/test.ts";
import { addRouteOptions, readRoute, type RouteFlags } from "../input/route-flags.ts";
import {
  ago,
  bold,
  cyan,
  deliveryCount,
  dim,
  green,
  red,
  say,
  sayFacts,
  sayJson,
  sayJsonList,
  sayTable,
  state,
  tell,
  yellow,
} from "../output/print.ts";

interface Json {
  json?: true;
}

const GRACE = KeyRotation.shape.grace_s;
const GRACE_HOURS = String(GRACE.parse(undefined) / 3600);

export function destinationsCommand(): Command {
  const destinations = new Command("destinations").description("where events are sent");
  destinations.addCommand(createCommand());
  destinations
    .command("list")
    .description("list the destinations and their health")
    .option("--json", "print JSON")
    .action(withCore(list));
  destinations.addCommand(showCommand());
  destinations.addCommand(updateCommand());
  for (const [verb, { about, done, change }] of Object.entries(SWITCHES)) {
    destinations
      .command(`${verb} <id>`)
      .description(about)
      .option("--json", "print JSON")
      .action(
        withCore(async ({ database }: Core, id: string, { json }: Json) => {
          const changed = await change(database, id);
          if (json) return sayJson(changed);
          say(`${green("✓")} ${id} ${done}`);
        }),
      );
  }
  destinations.addCommand(testCommand());
  destinations
    .command("rotate-secret <id>")
    .description("sign with a new key; the old key also signs for a while")
    .option("--grace <hours>", `how long the old key also signs, ${rangeOf(GRACE, 3600)}`, GRACE_HOURS)
    .addOption(new Option("--scheme <scheme>", "v1: HMAC; v1a: ed25519 (default: as before)").choices(SIGNING_SCHEMES))
    .option("--json", "print JSON")
    .action(withCore(rotate));
  destinations
    .command("delete <id>")
    .description("delete a destination and cancel its waiting deliveries")
    .option("--yes", "do not ask for confirmation")
    .action(withCore(remove));
  destinations
    .command("gaps <id>")
    .description("list what has not arrived: scheduled, held and dead deliveries")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(gaps));
  return destinations;
}

const SWITCHES = {
  pause: {
    about: "hold its deliveries until you resume it",
    done: "is paused; its deliveries are held",
    change: pauseDestination,
  },
  resume: {
    about: "send its held deliveries, in order",
    done: "is resumed; its held deliveries are sent",
    change: resumeDestination,
  },
  enable: {
    about: "send again to a destination that is disabled, or whose circuit is open",
    done: "is enabled",
    change: enableDestination,
  },
  disable: {
    about: "hold its deliveries until you enable it",
    done: "is disabled; its deliveries are held",
    change: disableDestination,
  },
};

function createCommand(): Command {
  const command = new Command("create")
    .description("create a destination; prints the secret that signs its deliveries")
    .argument("<url>", "the https URL to post to")
    .addOption(new Option("--scheme <scheme>", "v1: HMAC; v1a: ed25519").choices(SIGNING_SCHEMES).default("v1"))
    .option("--secret <secret>", "sign with this secret, whsec_… or whsk_… (default: a new one)");
  addDestinationOptions(command);
  addRouteOptions(command);
  return command
    .option("--no-route", "create no route; nothing is sent until you create one")
    .option("--json", "print JSON")
    .action(withCore(create));
}

interface CreateFlags extends DestinationFlags, RouteFlags, Json {
  scheme: SigningScheme;
  secret?: string;
  route: boolean;
}

/** The default that suits most users: all events except Tartan's own. */
const EVERYTHING = { filter: { types: ["*"] } };

async function create(core: Core, url: string, flags: CreateFlags): Promise<void> {
  const { database } = core;
  const { scheme, secret } = flags;
  const request = { ...readDestination(flags), url, signing_scheme: scheme, ...(secret && { signing_secret: secret }) };
  const route = readRoute(flags);
  const made = await createDestination(destinationDeps(core), request);
  let routed = null;
  try {
    const first = Object.keys(route).length > 0 ? route : EVERYTHING;
    if (flags.route) routed = await createRoute(database, { destination_id: made.id, ...first });
  } catch (error) {
    await deleteDestination(database, made.id);
    throw error;
  }
  if (flags.json) return sayJson({ ...made, routes: routed ? [routed] : [] });
  say(
    `${green("✓")} ${routed ? `${bold(describeFilter(routed.filter))} goes to` : "no events go yet to"} ${cyan(url)}\n`,
  );
  sayFacts({
    id: made.id,
    route: routed ? `${routed.id} ${dim(`form ${routed.form}`)}` : dim(`npx tartan routes create ${made.id} …`),
    "signing secret": `${yellow(made.signing_secret)} ${dim("not shown again")}`,
    "public key": made.keys[0]?.public_key,
  });
}

function updateCommand(): Command {
  const command = new Command("update")
    .description("change a destination; what you do not mention stays")
    .argument("<id>")
    .option("--url <url>", "the URL to post to");
  return addDestinationOptions(command)
    .option("--no-rate", "remove the rate limit")
    .option("--no-ca", "trust the public authorities only")
    .option("--json", "print JSON")
    .action(withCore(update));
}

async function update(core: Core, id: string, flags: DestinationFlags & Json & { url?: string }): Promise<void> {
  const request = { ...readDestination(flags), ...(flags.url !== undefined && { url: flags.url }) };
  const changed = await updateDestination(destinationDeps(core), id, request);
  if (flags.json) return sayJson(changed);
  say(`${green("✓")} ${id} is changed`);
}

async function list({ database }: Core, { json }: Json): Promise<void> {
  const destinations = await listDestinations(database);
  if (json) return sayJsonList(destinations);
  sayTable(
    destinations,
    {
      id: ({ id }) => id,
      to: ({ name, url }) => (name ? bold(name) : cyan(url)),
      status: ({ status, breaker }) => state(stateOf(status, breaker)),
      waiting: ({ scheduled }) => deliveryCount(scheduled),
      dead: ({ dead }) => (dead > 0 ? red(deliveryCount(dead)) : "0"),
      "last success": ({ last_success_at }) => ago(last_success_at),
      "last error": ({ last_error, last_failure_at }) =>
        last_error ? `${red(last_error)} ${dim(ago(last_failure_at))}` : "",
    },
    "There is no destination yet: npx tartan destinations create https://…",
  );
}

async function rotate(
  core: Core,
  id: string,
  { grace, scheme, json }: Json & { grace: string; scheme?: SigningScheme },
): Promise<void> {
  const request = { grace_s: Math.round(numberOf(grace, "--grace") * 3600), ...(scheme && { scheme }) };
  const made = await rotateSigningKey(core, id, request);
  if (json) return sayJson(made);
  say(`${green("✓")} a new key signs; the old one also signs for ${grace} h`);
  sayFacts({
    "signing secret": `${yellow(made.signing_secret)} ${dim("not shown again")}`,
    "public key": made.public_key,
  });
}

async function remove({ database }: Core, id: string, { yes }: { yes?: true }): Promise<void> {
  const found = await getDestination(database, id);
  if (!found)
    throw new TartanError("not_found", `There is no destination ${id}; see \`npx tartan destinations list\`.`);
  const lost = found.scheduled > 0 ? ` and cancels its ${deliveryCount(found.scheduled)} waiting deliveries` : "";
  await confirm(`This deletes ${found.url}${lost}.`, { ...(yes && { yes }) });
  await deleteDestination(database, id);
  tell(`${green("✓")} ${id} is deleted`);
}

async function gaps({ database }: Core, id: string, flags: Json & { limit: string; cursor?: string }): Promise<void> {
  const page = await listDeliveries(database, {
    destination_id: id,
    status: "undelivered",
    limit: Number(flags.limit),
    ...(flags.cursor && { cursor: flags.cursor }),
  });
  if (flags.json) return sayJson(page);
  sayDeliveries(page, "Everything has arrived.");
}
