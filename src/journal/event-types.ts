/** The types of events, where relay/ looks for them. */
export { EVENT_TYPES, isOperatorEvent, type EventType } from "../events/event-types.ts";
