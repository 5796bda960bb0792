/** What relay/ needs of events, where it looks for it. */
export { recordEvents, type NewEvent } from "../events/events.ts";
export { fromEventId, toEventId } from "../model/ids.ts";
