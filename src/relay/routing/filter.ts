/**
 * Filters of routes, which compare the fields of an event without its payload. Each list of a filter must contain the event's
 * value, so an event without that value (no item, no webhook type) does not pass the list.
 */
import { isOperatorEvent } from "../../events/event-types.ts";
import type { EventFacts, RouteDefinition, RouteFilter } from "../model/types.ts";

/**
 * `types` may name families (`item.*`). `*`, the default, takes all types except those about the relay itself (delivery.*,
 * destination.*, relay.*), which a filter has to name.
 */
export function matchesFilter(filter: RouteFilter, facts: EventFacts): boolean {
  if (facts.history && filter.history !== true) return false;
  return (
    (filter.types ?? ["*"]).some((pattern) => matchesType(pattern, facts.type)) &&
    holds(filter.integration_ids, facts.integrationId) &&
    holds(filter.environments, facts.environment) &&
    holds(filter.item_ids, facts.itemId) &&
    holds(filter.user_ids, facts.userId) &&
    holds(filter.webhook_types, facts.webhookType) &&
    holds(filter.webhook_codes, facts.webhookCode) &&
    holds(filter.sources, facts.source)
  );
}

/** True when `pattern` (a type, `family.*` or `*`) takes the type. */
export function matchesType(pattern: string, type: string): boolean {
  if (pattern === "*") return !isOperatorEvent(type);
  return pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

const holds = (list: readonly string[] | undefined, value: string | null): boolean =>
  list === undefined || (value !== null && list.includes(value));

/** True when the route compares payloads, so that the payload of each event that passes its filter has to be read. */
export function needsPayload(definition: RouteDefinition): boolean {
  return definition.match !== null;
}
