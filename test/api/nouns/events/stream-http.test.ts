import { randomInt } from "node:crypto";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dispatch, readStream, record, updated, type StreamRead } from "../../event-support.ts";
import { KEY, startWorld, type Json, type World } from "../../../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const itemsOf = ({ events }: StreamRead): string[] => events.map(({ data }) => (JSON.parse(data) as Json).item_id);
const here = async (): Promise<string> => (await world.api.call("GET /v1/events?cursor=now")).body.next_cursor;
const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

const LARGE = 500_000;

async function recordLarge(server: World<"api">): Promise<void> {
  const data = { changed: ["x".repeat(LARGE)], item: {} };
  await record(server, ...names("large", 60).map((name) => updated(name, { data })));
  await dispatch(server);
}

/** A reader of the stream whose connection is full, and the answer to it. */
async function readerThatTakesNothing(server: World<"api">, cursor: string) {
  const answered = new Promise<ServerResponse>((resolve) =>
    server.api.door.server.once("request", (_request, response) => resolve(response)),
  );
  const { hostname, port } = new URL(server.api.url);
  const socket = connect(Number(port), hostname).pause();
  const request = [
    `GET /v1/events/stream?cursor=${cursor} HTTP/1.1`,
    `host: ${hostname}`,
    `authorization: Bearer ${KEY}`,
  ];
  socket.write(`${request.join("\r\n")}\r\n\r\n`);
  const response = await answered;
  await expect.poll(() => response.writableNeedDrain).toBe(true);
  return { socket, response };
}

describe("the stream of events", () => {
  it("the event stream sends its cursor at once, then each event as it happens, as it is stored", async () => {
    let begun = false;
    const reading = readStream(world.api, {}, (read) => {
      begun ||= read.text.includes("id: ");
      return read.events.length === 2;
    });
    await expect.poll(() => begun).toBe(true);
    await record(world, updated("live-1"), updated("live-2"));
    await dispatch(world);
    const read = await reading;
    expect([read.status, read.type]).toEqual([200, "text/event-stream"]);
    const { data } = (await world.api.call("GET /v1/events?limit=500")).body;
    const texts = await Promise.all(data.slice(-2).map(({ id }: Json) => world.api.call(`GET /v1/events/${id}`)));
    expect(read.events.map((each) => each.data)).toEqual(texts.map(({ text }) => text));
    expect(read.events.map(({ event }) => event)).toEqual(["item.updated", "item.updated"]);
  });

  it("an event stream that is cut off again and again continues without a missing or repeated event", async () => {
    const begin = await here();
    const all = names("cut", 200);
    const writing = (async () => {
      for (let n = 0; n < all.length; n += 10) {
        await record(world, ...all.slice(n, n + 10).map((name) => updated(name)));
        await dispatch(world);
      }
    })();
    const seen: string[] = [];
    let lastEventId: string | undefined;
    while (seen.length < all.length) {
      const enough = randomInt(1, 30);
      const last = (): boolean => seen.length + enough >= all.length;
      const read = await readStream(world.api, { query: `cursor=${begin}`, lastEventId }, ({ events }) =>
        last() ? events.length === all.length - seen.length : events.length === enough,
      );
      seen.push(...itemsOf(read));
      lastEventId = read.events.at(-1)?.id;
    }
    await writing;
    expect(seen).toEqual(all);
  });

  it("an event stream that is cut off before its first event misses none", async () => {
    const first = await readStream(world.api, {}, ({ text }) => /^id: /m.test(text));
    const cursor = /^id: (.*)$/m.exec(first.text)?.[1];
    await record(world, updated("meanwhile"));
    await dispatch(world);
    const second = await readStream(world.api, { lastEventId: cursor }, ({ events }) => events.length > 0);
    expect(itemsOf(second)).toEqual(["meanwhile"]);
  });

  it("the event stream has only events that match its filter", async () => {
    const begin = await here();
    await record(
      world,
      updated("other"),
      updated("wanted"),
      updated("other", { type: "item.linked" }),
      updated("wanted"),
    );
    await dispatch(world);
    const read = await readStream(
      world.api,
      { query: `cursor=${begin}&item_id=wanted` },
      ({ events }) => events.length === 2,
    );
    expect(itemsOf(read)).toEqual(["wanted", "wanted"]);
  });

  it("the event stream refuses an unknown Last-Event-ID", async () => {
    const answer = await world.api.call("GET /v1/events/stream", { headers: { "last-event-id": "of-another" } });
    expect([answer.status, answer.body.error.code]).toEqual([400, "invalid_request"]);
  });

  it("the event stream ends when the server closes, and does not delay it", { timeout: 20_000 }, async () => {
    await using closing = await startWorld({ api: {} });
    let begun = false;
    const reading = readStream(closing.api, {}, ({ text }) => {
      begun ||= text.includes("id: ");
      return false;
    });
    await expect.poll(() => begun).toBe(true);
    await closing.api.door.close();
    expect((await reading).ended).toBe(true);
  });

  it(
    "an event stream whose client does not read does not delay a server that closes",
    { timeout: 30_000 },
    async () => {
      await using closing = await startWorld({ api: {} });
      await recordLarge(closing);
      const { socket, response } = await readerThatTakesNothing(closing, "start");
      await closing.api.door.close();
      expect(response.destroyed).toBe(true);
      socket.destroy();
    },
  );

  it("the event stream keeps only a few events in memory for a client that does not read, and sends all once it does", async () => {
    const begin = await here();
    await recordLarge(world);
    const { socket, response } = await readerThatTakesNothing(world, begin);
    for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    expect(response.writableNeedDrain).toBe(true);
    expect(response.writableLength).toBeLessThan(4 * LARGE);
    let bytes = 0;
    for await (const chunk of socket) {
      bytes += (chunk as Buffer).length;
      if (bytes > 60 * LARGE) break;
    }
    expect(bytes).toBeGreaterThan(60 * LARGE);
  });

  it("the event stream is cut off when Postgres fails, so that its client reconnects, and the log says why", async () => {
    await using broken = await startWorld({ api: {} });
    let begun = false;
    const reading = readStream(broken.api, {}, ({ text }) => {
      begun ||= text.includes("id: ");
      return false;
    });
    const cut = expect(reading).rejects.toThrow("terminated");
    await expect.poll(() => begun).toBe(true);
    await broken.database.query("alter table events.outbox rename to elsewhere");
    await cut;
    expect(broken.api.logged.filter((line) => line.includes("a stream of events was cut off"))).toEqual([
      expect.stringContaining("42P01"),
    ]);
  });

  it("the event stream stops querying Postgres once its client is gone", async () => {
    await readStream(world.api, {}, ({ text }) => text.includes("id: "));
    const listening = `select 1 from pg_stat_activity where datname = current_database() and query like 'unlisten%'`;
    await expect.poll(async () => (await world.database.query(listening)).rowCount, { timeout: 10_000 }).toBe(1);
  });
});
