/**
 * Sends to HTTP destinations over connections that are kept open. An exchange ends within the destination's timeout, which
 * covers everything from the look-up of the name to the last byte of the answer; 16 KiB of the answer are kept. Nothing is
 * resent here: a connection that the receiver closed during the write may have brought the request, so that is a failure.
 *
 * A line is one connection that serves one exchange at a time: free → busy → free. It is destroyed when an exchange ends before
 * its answer does, since the rest of that answer could still arrive on it.
 */
import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import { Client, type Dispatcher } from "undici";
import { ConnectFailed, createConnector, type Connect } from "./connector.ts";
import type { Exchange } from "../../model/types.ts";
import { stopwatch } from "../../model/stopwatch.ts";
import { causeOfStatus, type Cause } from "../../model/causes.ts";
import type { Outgoing, Sender, SenderContext, SenderSettings, SenderType } from "../sender.ts";
import { httpUrlError } from "./http-urls.ts";

const CONNECT_MAX_MS = 5000;
const HEAD_BYTES = 16 * 1024;
/** The rest of a longer answer is not read: a new connection costs less. */
const READ_MAX_BYTES = 128 * 1024;
/** Older connections are not used again, so that Tartan follows a receiver that moves to other addresses. */
const CONNECTION_AGE_MAX_MS = 300_000;

export interface HttpSenderOptions extends SenderSettings, SenderContext {
  /** a connection is used for at most this long; five minutes by default */
  connectionAgeMaxMs?: number;
}

/** Opens a sender that POSTs, and keeps as many connections as the destination's concurrency. */
export function openHttpSender(options: HttpSenderOptions): Sender {
  return new LineSender(options);
}

/** Destinations with the URL schemes http and https. */
export const httpSender: SenderType = {
  urlError: httpUrlError,
  open: (settings, context) => openHttpSender({ ...settings, ...context }),
};

class LineSender implements Sender {
  readonly #options: HttpSenderOptions;
  readonly #origin: string;
  readonly #path: string;
  readonly #connect: Connect;
  #free: Line[] = [];
  #underWay = new Set<Promise<Exchange>>();
  #closed = false;

  constructor(options: HttpSenderOptions) {
    const { origin, pathname, search } = new URL(options.url);
    this.#options = options;
    this.#origin = origin;
    this.#path = pathname + search;
    const timeoutMs = Math.min(CONNECT_MAX_MS, options.timeoutMs);
    this.#connect = createConnector({ guard: options.guard, ca: options.ca, timeoutMs });
  }

  send({ headers, body, signal }: Outgoing): Promise<Exchange> {
    const line = this.#freeLine() ?? new Line(this.#origin, this.#connect);
    const attempt = new Attempt(line, this.#options.timeoutMs, signal);
    const exchange = attempt.over.then((over) => {
      this.#underWay.delete(exchange);
      this.#release(line, attempt.reusable);
      return over;
    });
    this.#underWay.add(exchange);
    if (this.#closed || signal?.aborted) attempt.end("stopped");
    else line.client.dispatch({ method: "POST", path: this.#path, headers, body }, attempt);
    return exchange;
  }

  #freeLine(): Line | undefined {
    const { connectionAgeMaxMs = CONNECTION_AGE_MAX_MS } = this.#options;
    for (let line = this.#free.pop(); line !== undefined; line = this.#free.pop()) {
      if (line.ageMs < connectionAgeMaxMs) return line;
      void line.destroy();
    }
    return undefined;
  }

  #release(line: Line, reusable: boolean): void {
    if (reusable && !this.#closed && this.#free.length < this.#options.concurrency) this.#free.push(line);
    else void line.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#underWay);
    await Promise.all(this.#free.splice(0).map((line) => line.destroy()));
  }
}

/** One connection, which is made anew after it was lost. */
class Line {
  readonly client: Client;
  /** of the receiver, by the latest connection */
  address: string | null = null;
  #socket: Socket | null = null;
  #connectedAt = performance.now();

  constructor(origin: string, connect: Connect) {
    this.client = new Client(origin, {
      pipelining: 1,
      // The exchange's own deadline covers both.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        this.address = null;
        this.#socket = connect(options, (...result) => {
          const [error, socket] = result;
          if (error === null) this.address = socket.remoteAddress ?? null;
          this.#connectedAt = performance.now();
          callback(...result);
        });
      },
    });
  }

  /** since its latest connection */
  get ageMs(): number {
    return performance.now() - this.#connectedAt;
  }

  async destroy(): Promise<void> {
    // undici does not end a connection that is still being made.
    this.#socket?.destroy();
    await this.client.destroy();
  }
}

const STOP = new Error("the exchange is over");

/** One exchange, from undici's callbacks. */
class Attempt implements Dispatcher.DispatchHandler {
  readonly over: Promise<Exchange>;
  /** whether its line can serve another exchange */
  reusable = false;
  readonly #line: Line;
  readonly #signal: AbortSignal | undefined;
  readonly #started = performance.now();
  readonly #elapsed = stopwatch();
  readonly #timeoutMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #stop = (): void => this.end("stopped");
  #resolve: ((exchange: Exchange) => void) | null = null;
  #written = false;
  #status: number | null = null;
  #headers: Record<string, string> = {};
  #chunks: Buffer[] = [];
  #read = 0;

  constructor(line: Line, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#line = line;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.over = new Promise((resolve) => (this.#resolve = resolve));
    // setImmediate reads what has arrived first: this process may have been busy for longer than the receiver was.
    this.#timer = setTimeout(() => setImmediate(() => this.#expire()), timeoutMs);
    if (signal === undefined) return;
    // Node warns of more than ten listeners; here each exchange under way adds one.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", this.#stop);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Never a second time: a lost connection may have brought the request, so undici must not resend it.
    if (this.#resolve === null || this.#written) controller.abort(STOP);
    // Nor after the timeout, if this process was frozen while it connected: another worker may have the destination.
    else if (this.#elapsed() > this.#timeoutMs) {
      this.end("connect_timeout");
      controller.abort(STOP);
    }
    this.#written = true;
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx: the answer is still to come
    if (status < 200) return;
    this.#status = status;
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) this.#headers[name] = typeof value === "string" ? value : value.join(", ");
    }
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = HEAD_BYTES - this.#read;
    // A copy, since a slice would keep the whole of undici's buffer.
    if (room > 0) this.#chunks.push(Buffer.from(chunk.subarray(0, room)));
    this.#read += chunk.length;
    if (this.#read > READ_MAX_BYTES) this.end(this.#statusCause());
  }

  onResponseEnd(): void {
    this.reusable = this.#resolve !== null;
    this.end(this.#statusCause());
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.end(causeOfError(error));
  }

  /** The first call counts. */
  end(cause: Cause | null): void {
    const resolve = this.#resolve;
    if (resolve === null) return;
    this.#resolve = null;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#stop);
    resolve({
      durationMs: performance.now() - this.#started,
      address: this.#line.address,
      status: this.#status,
      cause,
      headers: this.#headers,
      head: this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks),
      retryAfterMs: retryAfterMs(this.#headers["retry-after"], Date.now()),
      control: controlOf(this.#headers["webhook-delivery"]),
    });
  }

  #expire(): void {
    this.end(this.#written ? "timeout" : "connect_timeout");
  }

  #statusCause(): Cause | null {
    return causeOfStatus(this.#status ?? 0);
  }
}

/** undici gives these messages under codes that it also uses for connections that end. */
const NOT_HTTP: ReadonlySet<string> = new Set(["bad response", "bad upgrade"]);

function causeOfError(error: Error & { code?: string }): Cause {
  if (error instanceof ConnectFailed) return error.reason;
  const { code, name, message } = error;
  if (code === "UND_ERR_INVALID_ARG" || code === "UND_ERR_NOT_SUPPORTED") return "request_refused";
  if (name === "HTTPParserError" || code === "UND_ERR_HEADERS_OVERFLOW" || NOT_HTTP.has(message)) return "bad_answer";
  return "connection_reset";
}

function controlOf(header: string | undefined): Exchange["control"] {
  const asked = header?.trim().toLowerCase();
  return asked === "abort-message" || asked === "disable" ? asked : null;
}

/** Parses Retry-After: seconds, or one of the three forms of an HTTP date. null: it is neither. */
export function retryAfterMs(value: string | undefined, now: number): number | null {
  const text = value?.trim() ?? "";
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000;
  if (!/^(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? /i.test(text)) return null;
  // The third form, asctime's, has no time zone; HTTP defines it as GMT.
  const at = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
