/** `tartan destinations show`: one destination with its health, its settings, its routes and its keys. */
import { Command } from "commander";
import { TartanError } from "../../../errors.ts";
import { getDestination, type SigningKey } from "../../../relay/destinations/destinations.ts";
import { listRoutes } from "../../../relay/routing/routes.ts";
import { describeFilter, stateOf } from "../../output/describe.ts";
import {
  ago,
  bold,
  cyan,
  deliveryCount,
  dim,
  red,
  say,
  sayFacts,
  sayJson,
  sayTable,
  state,
} from "../../output/print.ts";
import { withCore, type Core } from "../../wiring/core.ts";

export function showCommand(): Command {
  return new Command("show")
    .argument("<id>")
    .description("show one destination, its routes and its keys")
    .option("--json", "print JSON")
    .action(withCore(show));
}

async function show({ database }: Core, id: string, { json }: { json?: true }): Promise<void> {
  const found = await getDestination(database, id);
  if (!found)
    throw new TartanError("not_found", `There is no destination ${id}; see \`npx tartan destinations list\`.`);
  const routes = await listRoutes(database, { destination_id: id });
  if (json) return sayJson({ ...found, routes });
  const { status, breaker, hold_until, failures, failing_since, rate_limit } = found;
  sayFacts({
    id,
    name: found.name && bold(found.name),
    description: found.description,
    url: cyan(found.url),
    status: `${state(stateOf(status, breaker))} ${dim(found.disabled_reason ?? "")}`,
    "held until": hold_until && ago(hold_until),
    failing: failing_since && red(`since ${ago(failing_since)}, ${failures} in a row: ${found.last_error}`),
    "last success": ago(found.last_success_at),
    waiting: `${deliveryCount(found.scheduled)}${found.oldest_due_at ? dim(`, the first due ${ago(found.oldest_due_at)}`) : ""}`,
    dead: deliveryCount(found.dead),
    headers: found.header_names.join(", "),
    timeout: `${found.timeout_ms / 1000} s`,
    retries: `after ${found.schedule.join(", ")} s`,
    rate: rate_limit && `${rate_limit.count} in ${rate_limit.window_ms / 1000} s`,
    concurrency: String(found.concurrency),
    ordering: found.ordering,
    created: ago(found.created_at),
  });
  say();
  sayTable(
    routes,
    {
      route: (route) => route.id,
      matches: ({ filter }) => describeFilter(filter),
      form: ({ form }) => form,
      status: ({ enabled }) => state(enabled ? "enabled" : "disabled"),
    },
    `It has no route: npx tartan routes create ${id}`,
  );
  say();
  const columns = {
    key: (key: SigningKey) => key.id,
    scheme: (key: SigningKey) => key.scheme,
    "public key": (key: SigningKey) => key.public_key ?? "",
    created: (key: SigningKey) => ago(key.created_at),
    expires: (key: SigningKey) => (key.expires_at ? ago(key.expires_at) : ""),
  };
  sayTable(found.keys, columns, "");
}
