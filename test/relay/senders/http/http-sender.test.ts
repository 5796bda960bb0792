import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { retryAfterMs } from "../../../../src/relay/senders/http/http-sender.ts";
import { answering, bare, closed, HELLO, receiver, sender, urlOf as url } from "../../receivers.ts";

describe("a request", () => {
  test("a request is a POST with the given headers and exactly the given body", async () => {
    await using r = await answering(200);
    await using s = sender(url(r, "/hooks/plaid?a=1&b=%20"));
    const body = Buffer.from([0, 255, 10, 13, 34, 0xf0, 0x9f, 0x92, 0xb8]);
    await s.send({ headers: { "content-type": "application/json", "x-secret": "ü" }, body });
    const [first] = r.received;
    expect(first).toMatchObject({ method: "POST", path: "/hooks/plaid?a=1&b=%20" });
    expect(first?.headers).toMatchObject({
      host: `127.0.0.1:${r.port}`,
      "content-type": "application/json",
      "content-length": "9",
      connection: "keep-alive",
    });
    expect(first?.body).toEqual(body);
  });

  test("a request with an empty body is sent with an empty body", async () => {
    await using r = await answering(200);
    await using s = sender(url(r));
    expect(await s.send({ headers: {}, body: Buffer.alloc(0) })).toMatchObject({ status: 200, cause: null });
    expect(r.received[0]?.headers["content-length"]).toBe("0");
  });

  test("a request with a header that cannot be sent fails with a cause, and the next one is sent", async () => {
    await using r = await answering(200);
    await using s = sender(url(r));
    const refused = await s.send({ headers: { "x-bad": "a\r\nx-injected: 1" }, body: HELLO.body });
    expect(refused).toMatchObject({ cause: "request_refused", status: null, address: null });
    expect(await s.send(HELLO)).toMatchObject({ cause: null });
    expect(r.received).toHaveLength(1);
  });
});

describe("an answer", () => {
  test("an answer is returned with status, headers, body and address", async () => {
    await using r = await receiver((response) =>
      response.writeHead(418, { "X-Mixed": "Case", "set-cookie": ["a=1", "b=2"] }).end("short and stout"),
    );
    await using s = sender(url(r));
    const exchange = await s.send(HELLO);
    expect(exchange).toMatchObject({ status: 418, cause: "status_418", address: "127.0.0.1", control: null });
    expect(exchange.headers).toMatchObject({ "x-mixed": "Case", "set-cookie": "a=1, b=2" });
    expect(exchange.head.toString()).toBe("short and stout");
    expect(exchange.durationMs).toBeGreaterThan(0);
  });

  test.each([200, 201, 202, 204, 226, 299])("an answer with status %i is a success", async (status) => {
    await using r = await answering(status);
    await using s = sender(url(r));
    expect(await s.send(HELLO)).toMatchObject({ status, cause: null });
  });

  test.each([400, 401, 404, 410, 413, 429, 500, 502, 503, 504, 599])(
    "an answer with status %i is a failure",
    async (status) => {
      await using r = await answering(status);
      await using s = sender(url(r));
      expect(await s.send(HELLO)).toMatchObject({ status, cause: `status_${status}` });
    },
  );

  test.each([300, 301, 302, 303, 304, 307, 308])(
    "a redirect with status %i is a failure and is not followed",
    async (status) => {
      await using elsewhere = await answering(200);
      await using r = await answering(status, { location: url(elsewhere) });
      await using s = sender(url(r));
      expect(await s.send(HELLO)).toMatchObject({ status, cause: "redirect" });
      expect(elsewhere.connections).toHaveLength(0);
    },
  );

  test("an answer is not the informational response before it", async () => {
    await using r = await bare((socket) =>
      socket.write(
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok",
      ),
    );
    await using s = sender(url(r));
    const exchange = await s.send(HELLO);
    expect(exchange).toMatchObject({ status: 202, cause: null });
    expect(exchange.headers).toEqual({ "content-length": "2" });
    expect(exchange.head.toString()).toBe("ok");
  });

  test("an answer is returned without headers that Postgres cannot store", async () => {
    await using r = await bare((socket) => socket.write("HTTP/1.1 200 OK\r\nx-odd: a\0b\r\ncontent-length: 0\r\n\r\n"));
    await using s = sender(url(r));
    expect(await s.send(HELLO)).toMatchObject({ cause: "bad_answer", headers: {} });
  });

  test("an answer is read for Retry-After and webhook-delivery", async () => {
    await using r = await answering(503, { "retry-after": "120", "webhook-delivery": " Disable " });
    await using s = sender(url(r));
    expect(await s.send(HELLO)).toMatchObject({ retryAfterMs: 120_000, control: "disable" });
    await using other = await answering(500, { "retry-after": "soon", "webhook-delivery": "abort" });
    await using t = sender(url(other));
    expect(await t.send(HELLO)).toMatchObject({ retryAfterMs: null, control: null });
  });

  const now = Date.UTC(2026, 0, 1);
  test.each([
    ["0", 0],
    ["120", 120_000],
    [" 5 ", 5000],
    ["Thu, 01 Jan 2026 00:02:00 GMT", 120_000],
    ["Thursday, 01-Jan-26 00:02:00 GMT", 120_000],
    ["Thu Jan  1 00:02:00 2026", 120_000],
    ["Wed, 31 Dec 2025 23:00:00 GMT", 0],
    ["-5", null],
    ["1.5", null],
    ["2030", 2_030_000],
    ["2030-01-01", null],
    ["Thu, 99 Foo 2026", null],
    ["", null],
    [undefined, null],
  ])("the header Retry-After %j is read as documented", (value, expected) => {
    expect(retryAfterMs(value, now)).toBe(expected);
  });
});

describe("a long or slow answer", () => {
  test("a long or slow answer is kept up to 16 KiB, in any chunks", async () => {
    await using r = await receiver((response) => {
      for (let i = 0; i < 30; i += 1) response.write(String.fromCharCode(97 + (i % 26)).repeat(1000));
      response.end();
    });
    await using s = sender(url(r));
    const { head, cause } = await s.send(HELLO);
    expect(cause).toBeNull();
    expect(head).toHaveLength(16 * 1024);
    expect(head.subarray(0, 2001).toString()).toBe(`${"a".repeat(1000)}${"b".repeat(1000)}c`);
    await s.send(HELLO);
    expect(r.connections, "it was read to its end, so the connection serves again").toHaveLength(1);
  });

  test("a long or slow answer keeps no memory beyond its 16 KiB", async () => {
    await using r = await bare((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n${"x".repeat(60_000)}`),
    );
    await using s = sender(url(r));
    const { head } = await s.send(HELLO);
    expect(head).toHaveLength(16 * 1024);
    expect(head.buffer.byteLength).toBeLessThanOrEqual(16 * 1024);
  });

  test("a long or slow answer without an end is classified by its status, and its connection is closed", async () => {
    await using r = await bare((socket, chunk) => {
      if (!chunk.startsWith("POST")) return;
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      const more = () => {
        while (!socket.destroyed && socket.write(`2000\r\n${"x".repeat(0x2000)}\r\n`));
      };
      socket.on("drain", more);
      more();
    });
    await using s = sender(url(r));
    for (const connections of [1, 2]) {
      const exchange = await s.send(HELLO);
      expect(exchange).toMatchObject({ status: 200, cause: null });
      expect(exchange.head).toHaveLength(16 * 1024);
      expect(r.connections).toHaveLength(connections);
      const [socket] = r.connections.slice(-1);
      await closed(socket);
    }
  });

  const drip = (start: string, drop: string) =>
    bare((socket, chunk) => {
      if (!chunk.startsWith("POST")) return;
      socket.write(start);
      const timer = setInterval(() => socket.write(drop), 10);
      socket.on("close", () => clearInterval(timer));
    });

  test.each([
    ["headers", "HTTP/1.1 200 OK\r\n", "x: y\r\n", null],
    ["body", "HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n", "x", 200],
    ["chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n", 200],
  ])(
    "an answer whose %s come drop by drop is over at the deadline, and so is its connection",
    async (_, start, drop, status) => {
      await using r = await drip(start, drop);
      await using s = sender(url(r), { timeoutMs: 200 });
      expect(await s.send(HELLO)).toMatchObject({ status, cause: "timeout", address: "127.0.0.1" });
      const [socket] = r.connections;
      await closed(socket);
    },
  );

  test("a long or slow answer that arrived in time counts although this process was blocked", async () => {
    const program = `
      const { createServer } = require("node:http");
      const { parentPort } = require("node:worker_threads");
      const server = createServer((request, response) => {
        request.resume();
        parentPort.postMessage("asked");
        setTimeout(() => response.end("in time"), 50);
      });
      server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));`;
    const elsewhere = new Worker(program, { eval: true });
    const [port] = (await once(elsewhere, "message")) as [number];
    await using s = sender(url({ port }), { timeoutMs: 1000 });
    const exchange = s.send(HELLO);
    await once(elsewhere, "message");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    expect(await exchange).toMatchObject({ cause: null, status: 200 });
    await elsewhere.terminate();
  });

  test("a long or slow answer that never comes is a timeout", async () => {
    await using r = await bare(() => undefined);
    await using s = sender(url(r), { timeoutMs: 100 });
    expect(await s.send(HELLO)).toMatchObject({ status: null, cause: "timeout", address: "127.0.0.1" });
  });
});
