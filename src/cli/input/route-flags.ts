/** The options of a route; every command that takes a route shares them. */
import { Option, type Command } from "commander";
import { TartanError } from "../../errors.ts";
import { ENVIRONMENTS } from "../../model/integration.ts";
import { SOURCES } from "../../model/webhook.ts";
import { FORMS, type Form, type RouteDefinition, type RouteFilter } from "../../relay/model/types.ts";
import { choiceOf, readInput } from "./flags.ts";

export interface RouteFlags {
  events?: string[];
  integration?: string[];
  environment?: string[];
  item?: string[];
  user?: string[];
  webhookType?: string[];
  webhookCode?: string[];
  source?: string[];
  history?: true;
  match?: string | false;
  transform?: string | false;
  form?: Form;
  original?: true;
}

export function addRouteOptions(command: Command): Command {
  return command
    .option("--events <types...>", "such as transactions.changed, item.*, or * for all except Tartan's own (default)")
    .option("--integration <ids...>", "only events of these integrations")
    .option("--environment <names...>", `only events of these environments: ${ENVIRONMENTS.join(", ")}`)
    .option("--item <ids...>", "only events of these items")
    .option("--user <ids...>", "only events of these users")
    .option("--webhook-type <types...>", "only webhooks of these types, such as TRANSACTIONS")
    .option("--webhook-code <codes...>", "only webhooks of these codes, such as SYNC_UPDATES_AVAILABLE")
    .option("--source <sources...>", `only webhooks from ${choiceOf(SOURCES)}`)
    .option("--history", "also events of an item's first reading")
    .option("--match <json>", "a matcher on the data, or on the webhook's body; @file reads it from a file")
    .option("--transform <jsonata>", "send the result of this expression on the event; @file reads it from a file")
    .addOption(new Option("--form <form>", "what is sent (default: event)").choices(FORMS))
    .option("--original", "the webhook's own bytes and Plaid-Verification, as if Plaid had sent them");
}

/** Field of a filter → the option that sets it. */
const LISTS = {
  types: "events",
  integration_ids: "integration",
  environments: "environment",
  item_ids: "item",
  user_ids: "user",
  webhook_types: "webhookType",
  webhook_codes: "webhookCode",
  sources: "source",
} as const satisfies Partial<Record<keyof RouteFilter, keyof RouteFlags>>;

/** The parts of a route that the options name; the others are absent. */
export function readRoute(flags: RouteFlags): Partial<RouteDefinition> {
  const { match, transform, original, form } = flags;
  const lists = Object.entries(LISTS).flatMap(([name, flag]) => (flags[flag] ? [[name, flags[flag]] as const] : []));
  const filter: RouteFilter = { ...Object.fromEntries(lists), ...(flags.history && { history: true }) };
  const sent = form ?? (original ? "original" : typeof transform === "string" ? "transform" : undefined);
  return {
    ...(Object.keys(filter).length > 0 && { filter }),
    ...(match !== undefined && { match: match === false ? null : readMatch(match) }),
    ...(transform !== undefined && { transform: transform === false ? null : textOf(transform, "--transform") }),
    ...(sent !== undefined && { form: sent }),
  };
}

function readMatch(given: string): Record<string, unknown> {
  try {
    const match: unknown = JSON.parse(textOf(given, "--match"));
    if (typeof match === "object" && match !== null && !Array.isArray(match)) return match as Record<string, unknown>;
  } catch (error) {
    if (error instanceof TartanError) throw error;
  }
  throw new TartanError("invalid_request", "The matcher is not a JSON object.", {
    fields: { "--match": `must be JSON, such as '{"error.error_code": "ITEM_LOGIN_REQUIRED"}'` },
  });
}

/** The value itself, or for `@file` what the file holds. */
function textOf(given: string, option: string): string {
  return given.startsWith("@") ? readInput(given.slice(1), option) : given;
}
