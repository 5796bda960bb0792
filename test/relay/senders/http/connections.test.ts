import { execFile } from "node:child_process";
import { getEventListeners, once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createConnector } from "../../../../src/relay/senders/http/connector.ts";
import { createGuard } from "../../../../src/relay/senders/http/guard.ts";
import { AUTHORITY } from "../../certificates.ts";
import { answering, bare, closed, HELLO, receiver, resolver, sender, urlOf as url } from "../../receivers.ts";

describe("connections", () => {
  test("a connection is kept for the next exchange", async () => {
    await using r = await answering(200, {}, "ok");
    await using s = sender(url(r));
    for (let i = 0; i < 20; i += 1) expect((await s.send(HELLO)).cause).toBeNull();
    expect(r.received).toHaveLength(20);
    expect(r.connections).toHaveLength(1);
  });

  test("each concurrent exchange has a connection", async () => {
    await using r = await answering(200, {}, "ok");
    await using s = sender(url(r), { concurrency: 4 });
    const worker = async () => {
      for (let i = 0; i < 25; i += 1) expect((await s.send(HELLO)).cause).toBeNull();
    };
    await Promise.all(Array.from({ length: 4 }, worker));
    expect(r.received).toHaveLength(100);
    expect(r.connections.length).toBeLessThanOrEqual(4);
  });

  test("a connection that the receiver closes after each answer is made again", async () => {
    await using r = await answering(200, { connection: "close" });
    await using s = sender(url(r));
    for (let i = 0; i < 5; i += 1) expect((await s.send(HELLO)).cause).toBeNull();
    expect(r.connections).toHaveLength(5);
  });

  test("an exchange on a connection that closes during the write fails and is not sent again", async () => {
    let requests = 0;
    await using r = await bare((socket, chunk) => {
      if (!chunk.startsWith("POST")) return;
      requests += 1;
      if (requests === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      else socket.destroy();
    });
    await using s = sender(url(r));
    expect(await s.send(HELLO)).toMatchObject({ cause: null });
    expect(await s.send(HELLO)).toMatchObject({ cause: "connection_reset", status: null });
    expect(requests).toBe(2);
  });

  test.each([
    ["is reset", (socket: { resetAndDestroy(): unknown }) => socket.resetAndDestroy(), null],
    ["ends", (socket: { end(): unknown }) => socket.end(), null],
    [
      "ends within its answer",
      (socket: { end(text: string): unknown }) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
      200,
    ],
    [
      "ends within a chunk",
      (socket: { end(text: string): unknown }) =>
        socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf"),
      200,
    ],
  ])("an answer that %s is a failure with any status", async (_, act, status) => {
    await using r = await bare((socket) => act(socket));
    await using s = sender(url(r));
    expect(await s.send(HELLO)).toMatchObject({ cause: "connection_reset", status });
  });

  test("an answer that is not HTTP is a failure", async () => {
    await using r = await bare((socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n"));
    await using s = sender(url(r));
    expect(await s.send(HELLO)).toMatchObject({ cause: "bad_answer", status: null });
    await using endless = await bare((socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(40_000)}\r\n\r\n`));
    await using t = sender(url(endless));
    expect(await t.send(HELLO)).toMatchObject({ cause: "bad_answer", status: null });
  });

  test("a port without a listener is connect_refused", async () => {
    const gone = createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address() as AddressInfo;
    gone.close();
    await once(gone, "close");
    await using s = sender(url({ port }));
    for (let i = 0; i < 3; i += 1)
      expect(await s.send(HELLO)).toMatchObject({ cause: "connect_refused", address: null, status: null });
  });

  test("every address of a name is tried", async () => {
    await using r = await answering(200);
    const lookup = resolver({
      "many.test": ["127.0.0.5", "127.0.0.6", "127.0.0.1"],
      "none.test": ["127.0.0.5", "127.0.0.6"],
    });
    const guard = createGuard({ allow: ["127.0.0.0/8"], lookup });
    await using s = sender(`http://many.test:${r.port}/`, { guard });
    expect(await s.send(HELLO)).toMatchObject({ cause: null, address: "127.0.0.1" });
    await using t = sender(`http://none.test:${r.port}/`, { guard });
    expect(await t.send(HELLO)).toMatchObject({ cause: "connect_refused", address: null });
  });

  const loopback6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));
  test.skipIf(!loopback6)("a host that is an IPv6 address can be connected to", async () => {
    await using r = await receiver((response) => response.end(), { host: "::1" });
    await using s = sender(`http://[::1]:${r.port}/`, { guard: createGuard({ allow: ["::1"] }) });
    expect(await s.send(HELLO)).toMatchObject({ cause: null, address: "::1" });
  });

  test("connecting has a timeout of its own, however long the exchange may take", async () => {
    const silent = createGuard({ allow: [], lookup: () => new Promise(() => undefined) });
    const connect = createConnector({ guard: silent, ca: null, timeoutMs: 50 });
    const error = await new Promise((resolve) => {
      connect({ hostname: "slow.test", protocol: "http:", port: "80" }, (...[failure]) => resolve(failure));
    });
    expect(error).toMatchObject({ name: "ConnectFailed", reason: "connect_timeout" });
  });

  test("an unknown name, and a name whose servers do not answer, are dns_failed", async () => {
    const names = createGuard({ allow: [], lookup: resolver({}) });
    await using s = sender("http://nowhere.test/", { guard: names });
    expect(await s.send(HELLO)).toMatchObject({ cause: "dns_failed", address: null });
    const silent = createGuard({ allow: [], lookup: () => new Promise(() => undefined) });
    await using t = sender("http://nowhere.test/", { guard: silent, timeoutMs: 100 });
    expect(await t.send(HELLO)).toMatchObject({ cause: "connect_timeout", address: null });
  });
});

describe("a connection that is kept", () => {
  test("a kept connection is not used again after its maximum age, so that a changed name is followed", async () => {
    await using r = await receiver((response) => response.end("ok"));
    await using young = sender(url(r), { connectionAgeMaxMs: 60_000 });
    await young.send(HELLO);
    await young.send(HELLO);
    expect(r.connections).toHaveLength(1);
    await using old = sender(url(r), { connectionAgeMaxMs: 0 });
    await old.send(HELLO);
    await old.send(HELLO);
    expect(r.connections).toHaveLength(3);
  });
});

describe("TLS", () => {
  const guard = createGuard({
    allow: ["127.0.0.1"],
    lookup: resolver({ "receiver.test": ["127.0.0.1"], "other.test": ["127.0.0.1"] }),
  });
  const secure = () => receiver((response) => response.end("ok"), { secure: true });
  afterEach(() => vi.unstubAllEnvs());

  test("a destination's own authority is trusted, by name and by address, and its connection is kept", async () => {
    await using r = await secure();
    for (const host of ["receiver.test", "127.0.0.1"]) {
      const before = r.connections.length;
      await using s = sender(`https://${host}:${r.port}/`, { guard, ca: AUTHORITY });
      expect(await s.send(HELLO)).toMatchObject({ cause: null, status: 200, address: "127.0.0.1" });
      expect(await s.send(HELLO)).toMatchObject({ cause: null });
      expect(r.connections.length - before).toBe(1);
    }
  });

  test("an authority of NODE_EXTRA_CA_CERTS stays trusted for a destination with its own", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tartan-authority-"));
    const file = join(folder, "ca.pem");
    await writeFile(file, AUTHORITY);
    // Newer versions of Node read the variable once, when they start.
    const code = `
      import { openHttpSender } from "./src/relay/senders/http/http-sender.ts";
      import { createGuard } from "./src/relay/senders/http/guard.ts";
      import { rootCertificates } from "node:tls";
      const guard = createGuard({ allow: ["127.0.0.1"] });
      const sender = openHttpSender({ url: process.argv[1], ca: rootCertificates[0], timeoutMs: 10_000, concurrency: 1, guard });
      const { cause } = await sender.send({ headers: {}, body: Buffer.from("{}") });
      process.stdout.write(String(cause));
      await sender[Symbol.asyncDispose]();`;
    await using r = await secure();
    const run = (env: Record<string, string>) =>
      promisify(execFile)(
        process.execPath,
        ["--import", "tsx", "--input-type=module", "-e", code, `https://127.0.0.1:${r.port}/`],
        { env: { PATH: process.env["PATH"] ?? "", ...env } },
      );
    expect((await run({ NODE_EXTRA_CA_CERTS: file })).stdout).toBe("null");
    expect((await run({})).stdout).toBe("tls_failed");
    await rm(folder, { recursive: true });
  });

  test.each([
    ["whose authority is not known", "receiver.test", null],
    ["for another name", "other.test", AUTHORITY],
  ])("a certificate %s is refused, and no environment variable changes that", async (_, host, ca) => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    await using r = await secure();
    await using s = sender(`https://${host}:${r.port}/`, { guard, ca });
    expect(await s.send(HELLO)).toMatchObject({ cause: "tls_failed", status: null });
    expect(r.received).toHaveLength(0);
  });

  test("a receiver without TLS is tls_failed, and one that never answers the handshake times out", async () => {
    await using plain = await answering(200);
    await using s = sender(`https://receiver.test:${plain.port}/`, { guard, ca: AUTHORITY });
    expect(await s.send(HELLO)).toMatchObject({ cause: "tls_failed" });
    await using silent = await bare(() => undefined);
    await using t = sender(`https://receiver.test:${silent.port}/`, { guard, ca: AUTHORITY, timeoutMs: 100 });
    expect(await t.send(HELLO)).toMatchObject({ cause: "connect_timeout" });
  });
});

describe("stopping", () => {
  test("an exchange with an aborted signal sends nothing", async () => {
    await using r = await answering(200);
    await using s = sender(url(r));
    expect(await s.send({ ...HELLO, signal: AbortSignal.abort() })).toMatchObject({ cause: "stopped", status: null });
    expect(r.connections).toHaveLength(0);
  });

  test("a signal ends exchanges under way and their connections", async () => {
    const stop = new AbortController();
    await using r = await receiver(() => {
      if (r.received.length === 3) stop.abort();
    });
    await using s = sender(url(r));
    const exchanges = await Promise.all([1, 2, 3].map(() => s.send({ ...HELLO, signal: stop.signal })));
    expect(exchanges.map(({ cause }) => cause)).toEqual(["stopped", "stopped", "stopped"]);
    for (const socket of r.connections) await closed(socket);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
  });

  test("a signal ends an exchange that is connecting", async () => {
    const stop = new AbortController();
    const lookup = () => {
      queueMicrotask(() => stop.abort());
      return new Promise<never>(() => undefined);
    };
    await using s = sender("http://slow.test/", { guard: createGuard({ allow: [], lookup }) });
    expect(await s.send({ ...HELLO, signal: stop.signal })).toMatchObject({ cause: "stopped", address: null });
  });

  test("a signal ends a TLS handshake and its connection at once", { timeout: 4000 }, async () => {
    const stop = new AbortController();
    await using r = await bare(() => stop.abort());
    await using s = sender(`https://127.0.0.1:${r.port}/`);
    expect(await s.send({ ...HELLO, signal: stop.signal })).toMatchObject({ cause: "stopped", address: null });
    await closed(r.connections[0]);
  });

  test("a signal that many exchanges share keeps no listeners, and Node does not warn", async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => warnings.push(name);
    process.on("warning", note);
    const stop = new AbortController();
    await using r = await answering(200);
    await using s = sender(url(r));
    await Promise.all(Array.from({ length: 20 }, () => s.send({ ...HELLO, signal: stop.signal })));
    process.off("warning", note);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
    expect(warnings).toEqual([]);
  });

  test("a finished exchange leaves no timer", async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    await using r = await answering(200);
    await using s = sender(url(r));
    await s.send(HELLO);
    const before = timers();
    for (let i = 0; i < 50; i += 1) await s.send(HELLO);
    expect(timers() - before, "but for those that others start meanwhile").toBeLessThan(25);
  });

  test("disposing waits for exchanges under way, closes the connections and sends nothing more", async () => {
    let answer = (): void => undefined;
    let asked = (): void => undefined;
    const wasAsked = new Promise<void>((resolve) => (asked = resolve));
    await using r = await receiver((response) => {
      answer = () => void response.end("late");
      asked();
    });
    const s = sender(url(r));
    const underWay = s.send(HELLO);
    await wasAsked;
    let isClosed = false;
    const closing = s[Symbol.asyncDispose]().then(() => (isClosed = true));
    expect(await s.send(HELLO)).toMatchObject({ cause: "stopped" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    answer();
    expect(await underWay).toMatchObject({ cause: null, status: 200 });
    await closing;
    for (const socket of r.connections) await closed(socket);
    expect(r.received).toHaveLength(1);
  });
});
