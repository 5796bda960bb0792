/** Filters: each list must hold the event's value; operator events and history are taken only when they are asked for. */
import { expect, test } from "vitest";
import { EVENT_TYPES, isOperatorEvent } from "../../../src/events/event-types.ts";
import { matchesFilter, needsPayload } from "../../../src/relay/routing/filter.ts";
import type { EventFacts, RouteFilter } from "../../../src/relay/model/types.ts";

const facts = (more: Partial<EventFacts> = {}): EventFacts => ({
  id: "01935c1e-0000-7000-8000-000000000000",
  type: "webhook.received",
  integrationId: "svi_1",
  environment: "sandbox",
  itemId: "item-1",
  userId: "user-1",
  subjectKind: null,
  subjectId: null,
  history: false,
  webhookType: "TRANSACTIONS",
  webhookCode: "SYNC_UPDATES_AVAILABLE",
  source: "PLAID",
  ...more,
});

/** filter, what it is of the event that decides, and another value of that */
const LISTS: [keyof RouteFilter, Partial<EventFacts>, string][] = [
  ["integration_ids", { integrationId: "svi_1" }, "svi_2"],
  ["environments", { environment: "sandbox" }, "production"],
  ["item_ids", { itemId: "item-1" }, "item-2"],
  ["user_ids", { userId: "user-1" }, "user-2"],
  ["webhook_types", { webhookType: "TRANSACTIONS" }, "ITEM"],
  ["webhook_codes", { webhookCode: "SYNC_UPDATES_AVAILABLE" }, "ERROR"],
  ["sources", { source: "PLAID" }, "BACKEND"],
];

test.for(LISTS)("%s: one of those named, not another, and not an event that has none", ([name, held, other]) => {
  const [[key, value]] = Object.entries(held) as [[string, string]];
  expect(matchesFilter({ [name]: ["x", value] }, facts())).toBe(true);
  expect(matchesFilter({ [name]: [other] }, facts())).toBe(false);
  expect(matchesFilter({ [name]: [value] }, facts({ [key]: null }))).toBe(false);
  expect(matchesFilter({}, facts({ [key]: null }))).toBe(true);
});

test("every given list must contain the event's value", () => {
  expect(matchesFilter({ item_ids: ["item-1"], webhook_codes: ["SYNC_UPDATES_AVAILABLE"] }, facts())).toBe(true);
  expect(matchesFilter({ item_ids: ["item-1"], webhook_codes: ["ERROR"] }, facts())).toBe(false);
});

test("events of a first reading are taken only by a filter with history", () => {
  expect(matchesFilter({}, facts({ history: true }))).toBe(false);
  expect(matchesFilter({ history: false }, facts({ history: true }))).toBe(false);
  expect(matchesFilter({ history: true }, facts({ history: true }))).toBe(true);
  expect(matchesFilter({ history: true }, facts())).toBe(true);
});

test("a filter without types, or with *, takes all types except those about the relay itself", () => {
  for (const type of Object.keys(EVENT_TYPES)) {
    for (const filter of [{}, { types: ["*"] }])
      expect(matchesFilter(filter, facts({ type }))).toBe(!isOperatorEvent(type));
    expect(matchesFilter({ types: [type] }, facts({ type }))).toBe(true);
  }
});

test("a family takes all of its types and no other", () => {
  const filter = { types: ["item.*", "destination.*"] };
  const taken = Object.keys(EVENT_TYPES).filter((type) => matchesFilter(filter, facts({ type })));
  expect(taken).toEqual(Object.keys(EVENT_TYPES).filter((type) => /^(item|destination)\./.test(type)));
  expect(taken.length).toBeGreaterThan(6);
});

test("a payload is read only for a route with a matcher", () => {
  const definition = { filter: {}, form: "transform", transform: "1" } as const;
  expect(needsPayload({ ...definition, match: null })).toBe(false);
  expect(needsPayload({ ...definition, match: { a: 1 } })).toBe(true);
});
