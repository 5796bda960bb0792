/**
 * A TCP proxy whose connections can be disturbed in the ways of a real network: `await using proxy = await tcpProxy(url)`.
 *
 * A frozen connection stays open and silent: no byte, FIN or RST passes, which is what a firewall that forgot a
 * connection, a host that vanished and a paused virtual machine look like from the other side.
 */
import { once } from "node:events";
import { createServer, Socket, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** "requests" go from the client to the server, "answers" the other way. */
export type Direction = "requests" | "answers" | "both";

export interface TcpProxy extends AsyncDisposable {
  port: number;
  /** `url` with the proxy's address in place of its own */
  through(url: string): string;
  /** Freezes the connections there are; later ones are not affected. Their sockets stay open on both sides. */
  freeze(direction?: Direction): void;
  /** Freezes the answers of each connection, from now on, as soon as a request holds `text` (case is ignored). */
  freezeAnswersTo(text: string): void;
  /** Connections made from now on are accepted and stay silent, until `thaw`. */
  blackHole(): void;
  /** Connections made from now on are closed at once, until `thaw`. */
  refuse(): void;
  /** Every chunk is passed on so many milliseconds later. */
  slow(ms: number): void;
  /** Resets the connections there are. */
  cut(): void;
  /** Ends every disturbance; what was frozen goes on where it stopped. */
  thaw(): void;
  /** connections that are open now */
  readonly open: number;
  /** connections that were made since the start */
  readonly made: number;
}

class Pair {
  readonly client: Socket;
  readonly server: Socket;
  answersFrozen = false;
  requestsFrozen = false;

  constructor(client: Socket, server: Socket) {
    this.client = client;
    this.server = server;
  }

  freeze(direction: Direction): void {
    // A paused socket reads no end of the stream either, so the other side learns nothing.
    if (direction !== "answers") this.requestsFrozen = this.client.pause() !== null;
    if (direction !== "requests") this.answersFrozen = this.server.pause() !== null;
  }

  thaw(): void {
    this.requestsFrozen = this.answersFrozen = false;
    this.client.resume();
    this.server.resume();
  }

  cut(): void {
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }
}

class Proxy implements TcpProxy {
  readonly #target: { host: string; port: number };
  readonly #pairs = new Set<Pair>();
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  #mode: "pass" | "black hole" | "refuse" = "pass";
  #delayMs = 0;
  #trap: string | null = null;
  made = 0;

  constructor(target: { host: string; port: number }) {
    this.#target = target;
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.#pairs.size;
  }

  through(url: string): string {
    const proxied = new URL(url);
    proxied.hostname = "127.0.0.1";
    proxied.port = String(this.port);
    return proxied.href;
  }

  #accept(client: Socket): void {
    this.made += 1;
    if (this.#mode === "refuse") return void client.resetAndDestroy();
    const server = new Socket({ allowHalfOpen: true });
    const pair = new Pair(client, server);
    this.#pairs.add(pair);
    this.#pass(pair, "requests");
    this.#pass(pair, "answers");
    if (this.#mode === "black hole") pair.freeze("both");
    else server.setNoDelay(true).connect(this.#target);
  }

  #pass(pair: Pair, direction: "requests" | "answers"): void {
    const [from, to] = direction === "requests" ? [pair.client, pair.server] : [pair.server, pair.client];
    from.on("data", (chunk: Buffer) => {
      if (direction === "requests") this.#spring(pair, chunk);
      if (this.#delayMs === 0) to.write(chunk);
      else void delay(this.#delayMs).then(() => to.write(chunk));
    });
    from.on("end", () => to.end());
    // An error is passed on as one: the other side is reset too, unless it is to learn nothing.
    from.on("error", () => undefined);
    from.on("close", (failed) => {
      const silent = direction === "requests" ? pair.requestsFrozen : pair.answersFrozen;
      if (failed && !silent && !to.destroyed) to.resetAndDestroy();
      if (pair.client.destroyed && pair.server.destroyed) this.#pairs.delete(pair);
    });
  }

  #spring(pair: Pair, chunk: Buffer): void {
    if (this.#trap !== null && chunk.toString("latin1").toLowerCase().includes(this.#trap)) pair.freeze("answers");
  }

  freeze(direction: Direction = "both"): void {
    for (const pair of this.#pairs) pair.freeze(direction);
  }

  freezeAnswersTo(text: string): void {
    this.#trap = text.toLowerCase();
  }

  blackHole(): void {
    this.#mode = "black hole";
  }

  refuse(): void {
    this.#mode = "refuse";
  }

  slow(ms: number): void {
    this.#delayMs = ms;
  }

  cut(): void {
    for (const pair of this.#pairs) pair.cut();
  }

  thaw(): void {
    this.#mode = "pass";
    this.#delayMs = 0;
    this.#trap = null;
    for (const pair of this.#pairs) {
      pair.thaw();
      // It was made in the black hole and has no other side yet.
      if (pair.server.pending) pair.server.connect(this.#target);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** A proxy on a free port of 127.0.0.1 before the server that `url` names. */
export async function tcpProxy(url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url);
  const proxy = new Proxy({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port === "" ? 5432 : port) });
  await proxy.start();
  return proxy;
}
