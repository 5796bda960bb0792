import { createParser } from "eventsource-parser";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { eventStream, type ReadOn } from "../../../../src/api/nouns/events/stream.ts";

interface Message {
  id?: string | undefined;
  event?: string | undefined;
  data: string;
}

/** Pages of a feed whose events are given; past the last it waits until `signal` aborts. */
function feedOf(texts: readonly string[], asked: number[] = []): ReadOn {
  return async (cursor, limit, waitMs, signal) => {
    asked.push(waitMs);
    const from = Number(cursor);
    const events = texts
      .slice(from, from + limit)
      .map((text, n) => ({ id: "evt_", cursor: String(from + n + 1), type: "item.linked", text }));
    if (events.length === 0 && waitMs > 0)
      await new Promise<void>((resolve) =>
        signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true }),
      );
    return { events, next_cursor: events.at(-1)?.cursor ?? cursor };
  };
}

async function read(stream: AsyncIterable<unknown>, until: (messages: Message[]) => boolean): Promise<Message[]> {
  const messages: Message[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message) });
  for await (const chunk of stream) {
    parser.feed(String(chunk));
    if (until(messages)) break;
  }
  return messages;
}

it("each streamed event arrives unchanged, with line breaks in its JSON, and its id is the cursor after it", async () => {
  const json = fc.jsonValue().map((value) => JSON.stringify({ value }, null, 2));
  await fc.assert(
    fc.asyncProperty(fc.array(json, { minLength: 1, maxLength: 60 }), async (texts) => {
      const leaving = new AbortController();
      const readOn = feedOf(texts);
      const stream = eventStream(await readOn("0", 7, 0, leaving.signal), readOn, leaving.signal);
      const messages = await read(stream, (all) => all.length === texts.length);
      leaving.abort();
      expect(messages).toEqual(texts.map((data, n) => ({ id: String(n + 1), event: "item.linked", data })));
    }),
    { numRuns: 50 },
  );
});

it("a stream whose client does not read fetches no more than two pages", async () => {
  const asked: number[] = [];
  const leaving = new AbortController();
  const texts = Array.from({ length: 5000 }, () => JSON.stringify("x".repeat(10_000)));
  const readOn = feedOf(texts, asked);
  const stream = eventStream(await readOn("0", 20, 0, leaving.signal), readOn, leaving.signal);
  await new Promise((resolve) => stream.once("readable", resolve));
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
  expect(asked.length).toBeLessThanOrEqual(2);
  stream.destroy();
  leaving.abort();
});

it("an event stream ends when its signal aborts while it waits, and sends its cursor before it waits", async () => {
  const leaving = new AbortController();
  const readOn = feedOf([]);
  const chunks: string[] = [];
  for await (const chunk of eventStream(await readOn("0", 20, 0, leaving.signal), readOn, leaving.signal)) {
    chunks.push(String(chunk));
    if (chunks.join("").includes("id: 0")) leaving.abort();
  }
  expect(chunks.join("")).toBe("retry: 1000\n: still here\nid: 0\n\n");
});

it("an event stream ends after a while, since its client's key may have been reset", async () => {
  const { signal } = new AbortController();
  const readOn = feedOf(["{}", "[]"]);
  const { length } = await read(eventStream(await readOn("0", 1, 0, signal), readOn, signal, 0), () => false);
  expect(length).toBe(1);
});

it("an event stream fails when the event feed does, so that its client reconnects", async () => {
  const { signal } = new AbortController();
  const readOn: ReadOn = async () => {
    throw new Error("Postgres is away");
  };
  const stream = eventStream({ events: [], next_cursor: "4" }, readOn, signal);
  await expect(read(stream, () => false)).rejects.toThrow("Postgres is away");
});
