/**
 * Receivers of every temper: HTTP ones that note what they were sent, and bare sockets that do what no HTTP server would.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server as HttpServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net";
import { openHttpSender, type HttpSenderOptions } from "../../src/relay/senders/http/http-sender.ts";
import type { Sender } from "../../src/relay/senders/sender.ts";
import { createGuard } from "../../src/relay/senders/http/guard.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "./certificates.ts";

export interface Received {
  method: string | undefined;
  path: string | undefined;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

export interface Receiver extends AsyncDisposable {
  port: number;
  /** connections that were made, ended ones too */
  connections: Socket[];
  /** what came, in order; of bare receivers nothing */
  received: Received[];
}

async function listening(server: Server, received: Received[], host: string): Promise<Receiver> {
  const connections: Socket[] = [];
  server.on("connection", (socket: Socket) => {
    connections.push(socket.on("error", () => undefined));
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    received,
    [Symbol.asyncDispose]: async () => {
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Answer = (response: Parameters<RequestListener>[1], request: Received) => void;

interface HttpOptions {
  secure?: boolean;
  host?: string;
}

/** An HTTP receiver; it answers when the whole request has come. */
export function receiver(answer: Answer, { secure = false, host = "127.0.0.1" }: HttpOptions = {}): Promise<Receiver> {
  const received: Received[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url: path, headers } = request;
      const whole = { method, path, headers, body: Buffer.concat(chunks) };
      received.push(whole);
      answer(response, whole);
    });
  };
  const server: HttpServer = secure
    ? createSecureServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY }, listener)
    : createServer(listener);
  return listening(server, received, host);
}

export const answering = (status: number, headers: Record<string, string> = {}, body = ""): Promise<Receiver> =>
  receiver((response) => response.writeHead(status, headers).end(body));

/** A bare socket: `act` is called for each chunk that comes. */
export const bare = (act: (socket: Socket, chunk: string) => void): Promise<Receiver> =>
  listening(
    createTcpServer((socket) => socket.on("data", (chunk) => act(socket, chunk.toString("latin1")))),
    [],
    "127.0.0.1",
  );

export const urlOf = ({ port }: { port: number }, path = "/"): string => `http://127.0.0.1:${port}${path}`;

/** Waits until a connection has ended, in any way. */
export async function closed(socket: Socket | undefined): Promise<void> {
  if (socket === undefined || socket.closed) return;
  await new Promise((resolve) => socket.once("close", resolve));
}

/** A resolver that knows these names only. */
export const resolver = (names: Record<string, string[]>) => async (hostname: string) => {
  const addresses = names[hostname];
  if (addresses === undefined)
    throw Object.assign(new Error("no such name"), { code: "ENOTFOUND", syscall: "getaddrinfo" });
  return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
};

export const LOOPBACK = createGuard({ allow: ["127.0.0.1"] });

export const sender = (url: string, options: Partial<HttpSenderOptions> = {}): Sender =>
  openHttpSender({ url, ca: null, timeoutMs: 10_000, concurrency: 8, guard: LOOPBACK, ...options });

export const HELLO = { headers: { "content-type": "application/json" }, body: Buffer.from('{"hello":1}') };
