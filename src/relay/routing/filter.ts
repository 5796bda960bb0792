/**
 * Whether a route takes an event, as far as that can be told without its payload. Each list that a filter gives must hold
 * the event's value, so an event that has none (no item, no webhook type) passes no list of them.
 */
import { isOperatorEvent } from "../../events/event-types.ts";
import type { EventFacts, RouteDefinition, RouteFilter } from "../model/types.ts";

/**
 * `types` may name families: `item.*`; and `*` is everything but what is said of the relay itself (delivery.*,
 * destination.*, relay.*), which has to be asked for by name. Absent, it is `*`.
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

/** Whether `pattern` (a type, `family.*` or `*`) takes the type. */
export function matchesType(pattern: string, type: string): boolean {
  if (pattern === "*") return !isOperatorEvent(type);
  return pattern.endsWith(".*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

const holds = (list: readonly string[] | undefined, value: string | null): boolean =>
  list === undefined || (value !== null && list.includes(value));

/** Whether the payload has to be read to tell if the route takes an event that passed its filter. */
export function needsPayload(definition: RouteDefinition): boolean {
  return definition.match !== null;
}
