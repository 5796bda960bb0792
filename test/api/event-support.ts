/** What the tests of /v1/events start from: events that are there, and a reader of the stream that can be cut off. */
import { createParser } from "eventsource-parser";
import { recordEvents, type NewEvent } from "../../src/events/events.ts";
import { Dispatcher } from "../../src/relay/dispatch/dispatcher.ts";
import { KEY, type World } from "../support/world/index.ts";

export const updated = (itemId: string, more: Partial<NewEvent> = {}): NewEvent => ({
  type: "item.updated",
  integrationId: null,
  itemId,
  userId: null,
  environment: "sandbox",
  data: { changed: ["webhook"], item: {} },
  ...more,
});

/** Records events, each in a commit of its own; they wait for dispatch. */
export async function record({ database }: World, ...events: NewEvent[]): Promise<void> {
  for (const event of events) await database.transaction((tx) => recordEvents(tx, [event]));
}

/** Gives what waits its place in the feed, as a relay does. */
export async function dispatch({ database }: World): Promise<void> {
  const dispatcher = new Dispatcher(database, "test");
  while ((await dispatcher.dispatch()).rows > 0);
}

export interface ReceivedEvent {
  id: string;
  event: string;
  data: string;
}

export interface StreamRead {
  status: number;
  type: string | null;
  events: ReceivedEvent[];
  /** all of it, comments too */
  text: string;
  /** the server ended it */
  ended: boolean;
}

/** Reads the stream until `enough` or its end; then the connection is cut. */
export async function readStream(
  { url }: { url: string },
  { query = "", lastEventId }: { query?: string; lastEventId?: string | undefined },
  enough: (read: StreamRead) => boolean,
): Promise<StreamRead> {
  const headers = { authorization: `Bearer ${KEY}`, ...(lastEventId && { "last-event-id": lastEventId }) };
  const response = await fetch(`${url}/v1/events/stream?${query}`, { headers });
  const read: StreamRead = {
    status: response.status,
    type: response.headers.get("content-type"),
    events: [],
    text: "",
    ended: false,
  };
  const parser = createParser({
    onEvent: ({ id = "", event = "", data }) => void read.events.push({ id, event, data }),
  });
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    const text = decoder.decode(bytes as Uint8Array, { stream: true });
    // Where a chunk ends is chance: a message at a time, so that the cut may fall between any two.
    for (const piece of text.split(/(?<=\n\n)/)) {
      read.text += piece;
      parser.feed(piece);
      if (enough(read)) return read;
    }
  }
  return { ...read, ended: true };
}
