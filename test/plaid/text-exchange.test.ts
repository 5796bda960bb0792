/** One POST whose answer is read whole: what ends it, and what of the answer is its text. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Agent } from "undici";
import { expect, test } from "vitest";
import { ExchangeFailed, exchangeText } from "../../src/plaid/text-exchange.ts";

async function startServer(answer: RequestListener) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    asked.push(request);
    answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const agent = new Agent({ connections: 1 });
  const { port } = server.address() as AddressInfo;
  const ask = (path: string, signal?: AbortSignal, timeoutMs = 10_000) =>
    exchangeText(agent, { origin: `http://127.0.0.1:${port}`, path, headers: {}, body: "{}", timeoutMs, signal });
  return {
    asked,
    ask,
    [Symbol.asyncDispose]: async () => {
      await agent.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
}

test("a request that waits for a connection ends when its signal aborts or its time is over, and is never sent", async () => {
  const held: ServerResponse[] = [];
  await using server = await startServer((_request, response) => void held.push(response));
  const first = server.ask("/first");
  while (held.length === 0) await new Promise(setImmediate);
  const stop = new AbortController();
  const stopped = server.ask("/stopped", stop.signal);
  const late = server.ask("/late", undefined, 50);
  const reason = new Error("the worker stops");
  stop.abort(reason);
  await expect(stopped).rejects.toBe(reason);
  await expect(late).rejects.toSatisfy((error) => error instanceof ExchangeFailed && error.timedOut);
  held[0]?.end("{}");
  expect((await first).text).toBe("{}");
  // The same connection serves the next one, so those before it would have been sent by now.
  const next = server.ask("/next");
  while (held.length < 2) await new Promise(setImmediate);
  held[1]?.end("[]");
  expect((await next).text).toBe("[]");
  expect(server.asked.map(({ url }) => url)).toEqual(["/first", "/next"]);
});

test("an answer that stops halfway fails with its status, and when it takes too long says so", async () => {
  await using server = await startServer(({ url }, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write('{"half":');
    if (url === "/cut") setTimeout(() => response.destroy(), 20);
  });
  const cut = server.ask("/cut");
  await expect(cut).rejects.toMatchObject({ timedOut: false, statusCode: 200 });
  await expect(server.ask("/slow", undefined, 100)).rejects.toMatchObject({ timedOut: true, statusCode: 200 });
});

test("the text is the answer's own: without hints before it and without a byte order mark, whole where a character is cut in two", async () => {
  await using server = await startServer((_request, response) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    const bytes = Buffer.from('\uFEFF{"name":"Zürich €"}');
    response.writeHead(201, { "retry-after": "7" });
    response.write(bytes.subarray(0, 14));
    setTimeout(() => response.end(bytes.subarray(14)), 20);
  });
  const { text, statusCode, headers } = await server.ask("/");
  expect({ text, statusCode, wait: headers["retry-after"] }).toEqual({
    text: '{"name":"Zürich €"}',
    statusCode: 201,
    wait: "7",
  });
});
