/**
 * The HTTP server of the simulator: Plaid's API (POST, JSON) and the control paths under
 * /_simulator. It uses node:http directly, because a page of transactions must cost about a millisecond.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { systemClock } from "../clock.ts";
import { TartanError } from "../errors.ts";
import { answerControl, CONTROL_PREFIX } from "./control/routes.ts";
import type { Control } from "./control/control.ts";
import { answerPlaid, type PlaidReply } from "./plaid-api.ts";
import type { Simulation } from "./simulation.ts";

const LARGEST_BODY = 16 * 1024 * 1024;

export interface AnsweredRequest {
  method: string;
  path: string;
  status: number;
  duration_ms: number;
}

export interface ServerDeps {
  sim: Simulation;
  control: Control;
  onRequest?: ((request: AnsweredRequest) => void) | undefined;
}

/** Listens; `port` 0 picks a free one. */
export async function listen(deps: ServerDeps, host: string, port: number): Promise<Server> {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    void serve(deps, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  return server;
}

function listenError(error: Error, host: string, port: number): Error {
  if ((error as { code?: unknown }).code !== "EADDRINUSE") return error;
  return new TartanError(
    "simulator_port_in_use",
    `Port ${port} of ${host} is in use. Stop the program that uses it, or choose another port.`,
    {
      fields: { port: "is in use; 0 picks a free one" },
      cause: error,
    },
  );
}

async function serve(deps: ServerDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const began = performance.now();
  const url = request.url ?? "/";
  const path = url.split("?", 1)[0] ?? "/";
  const method = request.method ?? "GET";
  response.once("finish", () =>
    deps.onRequest?.({ method, path, status: response.statusCode, duration_ms: Math.round(performance.now() - began) }),
  );
  const body = await readAll(request);
  if (body === null) return send(response, 413, '{"error":{"code":"body_too_large","message":"at most 16 MiB"}}');
  if (path.startsWith(CONTROL_PREFIX)) {
    const { status, text } = await answerControl(deps.control, method, url, body);
    return send(response, status, text);
  }
  const reply = answerPlaid(deps.sim, {
    path: method === "POST" ? path : `${method} ${path}`,
    clientId: header(request, "plaid-client-id"),
    secret: header(request, "plaid-secret"),
    body,
  });
  if (reply.delayMs > 0) await systemClock.sleep(reply.delayMs, deps.sim.closing);
  return reply.cutAfter === null ? send(response, reply.status, reply.text, reply) : cut(request, response, reply);
}

const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value : undefined;
};

async function readAll(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= LARGEST_BODY) chunks.push(chunk);
  }
  return size > LARGEST_BODY ? null : Buffer.concat(chunks).toString("utf8");
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  { contentType, headers }: Pick<PlaidReply, "contentType" | "headers"> = {
    contentType: "application/json",
    headers: {},
  },
): void {
  const bytes = Buffer.from(text, "utf8");
  response.writeHead(status, { ...headers, "content-type": contentType, "content-length": bytes.length });
  response.end(bytes);
}

/** The connection breaks in the middle of the answer. */
function cut(request: IncomingMessage, response: ServerResponse, reply: PlaidReply): void {
  const bytes = Buffer.from(reply.text, "utf8");
  response.writeHead(reply.status, { "content-type": reply.contentType, "content-length": bytes.length });
  const sent = bytes.subarray(0, Math.min(reply.cutAfter ?? 0, Math.max(0, bytes.length - 1)));
  response.write(sent.length > 0 ? sent : " ", () => request.socket.destroy());
}
