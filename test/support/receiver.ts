/**
 * A receiver of deliveries for tests: a real HTTP server on loopback that records requests and gives the configured answers.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  headers: IncomingHttpHeaders;
  /** `webhook-id` */
  id: string;
  body: Buffer;
  /** performance.now() when its last byte had come */
  at: number;
  path: string;
}

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** answers later */
  delayMs?: number;
  /** never answers */
  hang?: boolean;
  /** cuts the connection instead */
  cut?: boolean;
}

export interface Receiver extends AsyncDisposable {
  url: string;
  port: number;
  /** in the order in which they came */
  received: Received[];
  /** how the next requests are answered; 200 unless it says otherwise */
  answer: (request: Received) => Answer | Promise<Answer>;
  /** requests that are not answered yet, and the most there ever were at once */
  open: number;
  mostOpen: number;
  /** connections that were made so far */
  connections: number;
}

export async function startReceiver(port = 0): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    receiver.open += 1;
    receiver.mostOpen = Math.max(receiver.mostOpen, receiver.open);
    response.once("close", () => (receiver.open -= 1));
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => undefined);
    request.on("end", () => {
      const { headers, url: path = "" } = request;
      const received = {
        headers,
        id: String(headers["webhook-id"]),
        body: Buffer.concat(chunks),
        at: performance.now(),
        path,
      };
      receiver.received.push(received);
      void Promise.resolve(receiver.answer(received)).then((answer) => reply(response, answer));
    });
  });
  server.on("connection", () => (receiver.connections += 1));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: actual } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${actual}/hook`,
    port: actual,
    received: [],
    answer: () => ({}),
    open: 0,
    mostOpen: 0,
    connections: 0,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

function reply(
  response: ServerResponse,
  { status = 200, headers = {}, body = "ok", delayMs = 0, hang, cut }: Answer,
): void {
  if (hang) return;
  if (cut) return void response.destroy();
  setTimeout(() => response.writeHead(status, headers).end(body), delayMs);
}
