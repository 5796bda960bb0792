/** `tartan listeners …`: the URLs that take the logins of your users. */
import { Command, Option } from "commander";
import { KINDS, LOGIN_EVENTS, NewListener, USUAL_THROTTLE_S, type Kind } from "../../listeners/listener.schema.ts";
import {
  createListener,
  deleteListener,
  getListener,
  listenerUrl,
  listListeners,
  rotateListenerToken,
  updateListener,
  type Listener,
} from "../../listeners/listeners.ts";
import { byUser, REASON, REASON_HELP } from "../input/change.ts";
import { confirm } from "../input/confirm.ts";
import { listOf, rangeOf, wholeNumberOf } from "../input/flags.ts";
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
  short,
  tell,
  yellow,
} from "../output/print.ts";
import { publicUrl, withCore, type Core } from "../wiring/core.ts";

interface Json {
  json?: true;
}

interface Settings extends Json {
  name?: string;
  throttle?: string;
  events?: string[];
  cutPrefix?: string | false;
  reason?: string;
}

const THROTTLE = NewListener.shape.throttle_s;

export function listenersCommand(): Command {
  const listeners = new Command("listeners").description(
    "URLs that take the logins of your users, and sync their items",
  );
  listeners.addCommand(createCommand());
  listeners
    .command("list")
    .description("list the listeners, and what they have counted")
    .option("--json", "print JSON")
    .action(withCore(list));
  listeners
    .command("show <id>")
    .description("show one listener and its URL")
    .option("--json", "print JSON")
    .action(withCore(show));
  listeners.addCommand(updateCommand());
  listeners
    .command("rotate <id>")
    .description("replace the token; the old one stops working at once")
    .option("--token <token>", "the new token (default: a random one)")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON")
    .action(withCore(rotate));
  listeners
    .command("delete <id>")
    .description("delete a listener; its URL answers 404 from then on")
    .option(REASON, REASON_HELP)
    .option("--yes", "do not ask for confirmation")
    .option("--json", "print JSON")
    .action(withCore(remove));
  return listeners;
}

function createCommand(): Command {
  const command = new Command("create")
    .description("create a listener; prints its URL and its token")
    .addOption(
      new Option("--kind <kind>", "who posts: a log stream of Auth0, or your own system")
        .choices(KINDS)
        .makeOptionMandatory(),
    )
    .option("--integration <id>", "sync the user's items of this integration only (default: of all)")
    .option("--token <token>", "the token that its sender shows (default: a random one)");
  return addSettings(command).action(withCore(create));
}

function updateCommand(): Command {
  const command = new Command("update").description("change the given settings and leave the rest").argument("<id>");
  // Behind the option that it undoes: before it, it would set that to true.
  return addSettings(command).option("--no-cut-prefix", "cut nothing").action(withCore(update));
}

const addSettings = (command: Command): Command =>
  command
    .option("--name <name>", "a name of your choice")
    .option(
      "--throttle <seconds>",
      `sync an item for a login once in so many seconds, ${rangeOf(THROTTLE)} (default: ${USUAL_THROTTLE_S})`,
      wholeNumberOf(THROTTLE),
    )
    .option(
      "--events <types>",
      `types of Auth0's log events that are logins (default: ${LOGIN_EVENTS.join(",")})`,
      listOf,
    )
    .option("--cut-prefix <text>", "cut off the front of each user's id, such as auth0|")
    .option(REASON, REASON_HELP)
    .option("--json", "print JSON");

const settingsOf = ({ name, throttle, events, cutPrefix }: Settings) => ({
  ...(name !== undefined && { name }),
  ...(throttle !== undefined && { throttle_s: Number(throttle) }),
  ...(events !== undefined && { event_types: events }),
  ...(cutPrefix !== undefined && { cut_prefix: cutPrefix === false ? null : cutPrefix }),
});

const shown =
  ({ config }: Core) =>
  <T extends Listener>(listener: T) => ({
    ...listener,
    url: listenerUrl(publicUrl(config), listener.id),
  });

async function create(
  core: Core,
  flags: Settings & { kind: Kind; integration?: string; token?: string },
): Promise<void> {
  const { kind, integration, token } = flags;
  const asked = {
    kind,
    ...settingsOf(flags),
    ...(integration !== undefined && { integration_id: integration }),
    ...(token !== undefined && { token }),
  };
  const made = shown(core)(await createListener(core.database, asked, byUser(flags.reason)));
  if (flags.json) return sayJson(made);
  say(`${green("✓")} the listener ${bold(made.name)} is created\n`);
  sayFacts({ id: made.id, url: cyan(made.url), token: `${yellow(made.token)} ${dim("not shown again")}` });
  if (kind === "auth0") {
    tell(dim("\nIn Auth0: Monitoring > Streams > Create Stream > Custom Webhook, with this URL as Payload URL and"));
    tell(dim("this token as Authorization Token."));
  } else tell(dim(`\nPost {"user_id", "at"} or an array of such to this URL, with Authorization: Bearer <token>.`));
}

async function list(core: Core, { json }: Json): Promise<void> {
  const listeners = (await listListeners(core.database)).map(shown(core));
  if (json) return sayJsonList(listeners);
  sayTable(
    listeners,
    {
      id: ({ id }) => id,
      name: ({ name }) => bold(name),
      kind: ({ kind }) => kind,
      integration: ({ integration_id }) => (integration_id === null ? dim("all") : short(integration_id, 24)),
      throttle: ({ throttle_s }) => `${throttle_s} s`,
      "last post": ({ last_received_at }) => ago(last_received_at),
      logins: ({ counts }) => String(counts.logins),
      "unknown users": ({ counts }) => String(counts.unknown_users),
      webhooks: ({ counts }) => String(counts.webhooks),
    },
    "There is no listener yet: npx tartan listeners create --kind auth0",
  );
}

async function show(core: Core, id: string, { json }: Json): Promise<void> {
  const listener = shown(core)(await getListener(core.database, id));
  if (json) return sayJson(listener);
  const { counts } = listener;
  sayFacts({
    id: listener.id,
    name: bold(listener.name),
    url: cyan(listener.url),
    kind: listener.kind,
    integration: listener.integration_id ?? dim("all"),
    throttle: `${listener.throttle_s} s`,
    "login events": listener.event_types.join(", "),
    "cuts off": listener.cut_prefix,
    "last post": ago(listener.last_received_at),
    logins: `${counts.logins}, ${counts.unknown_users} of them of users without an item`,
    webhooks: `${counts.webhooks}; ${counts.items_fresh} items needed none`,
    "events ignored": String(counts.events_ignored),
    created: `${listener.created_at} ${dim(ago(listener.created_at))}`,
  });
}

async function update(core: Core, id: string, flags: Settings): Promise<void> {
  const changed = shown(core)(await updateListener(core.database, id, settingsOf(flags), byUser(flags.reason)));
  if (flags.json) return sayJson(changed);
  say(`${green("✓")} ${id} is changed`);
}

async function rotate(
  core: Core,
  id: string,
  { token, reason, json }: Json & { token?: string; reason?: string },
): Promise<void> {
  const made = shown(core)(await rotateListenerToken(core.database, id, { token }, byUser(reason)));
  if (json) return sayJson(made);
  say(`${green("✓")} the old token no longer works`);
  sayFacts({ url: cyan(made.url), token: `${yellow(made.token)} ${dim("not shown again")}` });
}

async function remove(
  { database }: Core,
  id: string,
  { yes, reason, json }: Json & { yes?: true; reason?: string },
): Promise<void> {
  const { name } = await getListener(database, id);
  await confirm(`This deletes the listener ${name}; its URL answers 404.`, {
    ...(yes && { yes }),
    ...(json && { json }),
  });
  await deleteListener(database, id, byUser(reason));
  if (json) return sayJson({ id, deleted: true });
  say(`${green("✓")} ${id} is deleted`);
}
