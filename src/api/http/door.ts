/**
 * The door: the one HTTP server of a process. It listens from the first moment and stays open until the process ends, whatever
 * is behind it: its handler, a Fastify instance that never listens itself, can be exchanged.
 *
 *   closed → serve(first) → listening → serve(next): new requests go to the next one; the first one answers what it has
 *          → closing: no new connections; answers under way are finished → closed
 *
 * So a receiver that started while Postgres was away becomes the whole server without a refused connection.
 */
import { lookup } from "node:dns/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { TartanError } from "../../errors.ts";
import { urlAt } from "./address.ts";

/** The server refuses a request that has not arrived whole by then (Fastify would wait without end). */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 15_000;
/**
 * Longer than the common load balancers keep an idle connection (nginx and AWS 60 s, Google 600 s). With a shorter time they
 * would send a webhook into a connection that the server is closing.
 */
const KEEP_ALIVE_MS = 620_000;
const DROP_IDLE_EVERY_MS = 50;
/** Once a server closes, Node no longer enforces the two limits above, so the rest of a request may never come. */
const CLOSE_MS = 10_000;

export interface Door extends AsyncDisposable {
  /** the server of the first address; for events of connections and requests */
  readonly server: Server;
  /**
   * Sends every new request to `app`, which must be ready. Resolves when the handler before it has answered its requests and
   * is closed.
   */
  serve(app: FastifyInstance): Promise<void>;
  /**
   * Listens; call `serve` before. `localhost` means all its addresses.
   * @returns the URL
   * @throws TartanError `config_invalid` when the address or port cannot be used
   */
  listen(address: { host: string; port: number }): Promise<string>;
  /** where it listens; null before it does */
  readonly url: string | null;
  /** Resolves when `app` has no request under way: a handler awaits it before it closes what its requests use. */
  answered(app: FastifyInstance): Promise<void>;
  /** Closes the server and its handler; waits at most ten seconds for answers under way. */
  close(): Promise<void>;
}

/** A handler and its requests under way. */
class Served {
  readonly app: FastifyInstance;
  /** of every request, so it must cost nothing: one function for all of them */
  readonly left = (): void => {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  };
  #underWay = 0;
  #waiting: (() => void)[] = [];

  constructor(app: FastifyInstance) {
    this.app = app;
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    this.#underWay += 1;
    response.once("close", this.left);
    this.app.routing(request, response);
  }

  async answered(): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

class OneDoor implements Door {
  readonly server: Server;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Socket>();
  readonly #served = new Map<FastifyInstance, Served>();
  #current: Served | undefined;
  #url: string | null = null;
  #closed: Promise<void> | undefined;

  constructor() {
    this.server = this.#newServer();
  }

  get url(): string | null {
    return this.#url;
  }

  #newServer(): Server {
    const server = createServer({
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    });
    server.on("request", (request, response) => this.#current?.take(request, response));
    // Fastify has its handler for bytes that are not HTTP on the server that it made for itself.
    server.on("clientError", (error, socket) => this.#current?.app.server.emit("clientError", error, socket));
    server.on("connection", (socket: Socket) => {
      this.#connections.add(socket);
      socket.once("close", () => this.#connections.delete(socket));
    });
    this.#servers.push(server);
    return server;
  }

  async serve(app: FastifyInstance): Promise<void> {
    const before = this.#current;
    this.#current = new Served(app);
    this.#served.set(app, this.#current);
    if (before === undefined) return;
    await before.app.close();
    this.#served.delete(before.app);
  }

  async listen({ host, port }: { host: string; port: number }): Promise<string> {
    if (this.#current === undefined) throw new TartanError("internal", "nothing answers behind the door yet");
    try {
      await listenOn(this.server, host, port);
    } catch (error) {
      throw portProblem(error, host, port);
    }
    const first = this.server.address() as AddressInfo;
    if (host === "localhost") await this.#listenBeside(first);
    this.#url = urlAt(first.address, first.port);
    return this.#url;
  }

  /** On the other addresses of `localhost`, where they can be had: 127.0.0.1 and ::1. */
  async #listenBeside(first: AddressInfo): Promise<void> {
    const addresses = await lookup("localhost", { all: true }).catch(() => []);
    for (const { address } of addresses) {
      if (address === first.address) continue;
      const server = this.#newServer();
      await listenOn(server, address, first.port).catch(() => this.#servers.splice(this.#servers.indexOf(server), 1));
    }
  }

  async answered(app: FastifyInstance): Promise<void> {
    await this.#served.get(app)?.answered();
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const drop = this.#dropIdle();
    try {
      // The handler ends answers that wait for something to happen, and the servers close when the last answer is sent.
      await Promise.all([...this.#servers.map(closeServer), ...[...this.#served.keys()].map((app) => app.close())]);
    } finally {
      clearInterval(drop);
    }
  }

  /**
   * Node's `close` ends the connections that are idle at that moment. A connection with an answer under way becomes idle later,
   * and would keep the server open while it is kept alive. So would a connection that was opened in advance and has sent
   * nothing, which Node does not count as idle. After CLOSE_MS the server ends all connections: a client that does not send the
   * rest of its request, or does not read its answer, would keep the server open without end.
   */
  #dropIdle(): NodeJS.Timeout {
    const end = performance.now() + CLOSE_MS;
    return setInterval(() => {
      for (const server of this.#servers) server.closeIdleConnections();
      const isLate = performance.now() >= end;
      for (const socket of this.#connections) if (isLate || socket.bytesRead === 0) socket.destroy();
    }, DROP_IDLE_EVERY_MS);
  }
}

async function listenOn(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    // It fails only where the server never listened.
    server.close(() => resolve());
  });
}

function portProblem(error: unknown, host: string, port: number): unknown {
  const code = (error as { code?: unknown }).code;
  if (code === "EADDRINUSE") {
    return new TartanError(
      "config_invalid",
      `Port ${port} of ${host} is in use. Choose another with TARTAN_PORT, or 0 for a free one.`,
    );
  }
  if (code === "EADDRNOTAVAIL" || code === "EACCES") {
    return new TartanError(
      "config_invalid",
      `Tartan cannot listen on ${host}:${port}. Fix TARTAN_HOST or TARTAN_PORT.`,
    );
  }
  return error;
}

/** Makes the door of a process. */
export const openDoor = (): Door => new OneDoor();
