/**
 * One POST whose answer is read whole, as text. undici's `request` makes a stream, two signals and a URL for each answer, which a small
 * answer does not need: a run of sync asks twice, and half of what asking cost was that.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";

export interface TextRequest {
  origin: string;
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** from the start to the last byte of the answer */
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

export interface TextAnswer {
  statusCode: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** The exchange failed, or took too long. The cause is undici's error. */
export class ExchangeFailed extends Error {
  readonly timedOut: boolean;
  /** null: no answer began */
  readonly statusCode: number | null;

  constructor({ timedOut, statusCode, cause }: { timedOut: boolean; statusCode: number | null; cause: unknown }) {
    super("the exchange failed", { cause });
    this.timedOut = timedOut;
    this.statusCode = statusCode;
  }
}

/** @throws ExchangeFailed; the signal's reason when it aborts, also where the request still waits for a connection */
export async function exchangeText(dispatcher: Dispatcher, request: TextRequest): Promise<TextAnswer> {
  const { origin, path, headers, body, timeoutMs, signal } = request;
  signal?.throwIfAborted();
  const exchange = new Exchange();
  const timer = setTimeout(() => exchange.end(new Error(`no answer within ${timeoutMs} ms`), true), timeoutMs).unref();
  const onAbort = (): void => exchange.end(signal?.reason, false);
  signal?.addEventListener("abort", onAbort);
  try {
    dispatcher.dispatch({ origin, path, method: "POST", headers, body }, exchange);
    return await exchange.answer;
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ExchangeFailed({ timedOut: exchange.timedOut, statusCode: exchange.statusCode, cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly answer: Promise<TextAnswer>;
  timedOut = false;
  statusCode: number | null = null;
  #headers: IncomingHttpHeaders = {};
  readonly #chunks: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  /** why it ended before its answer */
  #ended: Error | undefined;
  #resolve!: (answer: TextAnswer) => void;
  #reject!: (error: unknown) => void;

  constructor() {
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Ends it without an answer. One that has not begun yet is never sent. */
  end(reason: unknown, timedOut: boolean): void {
    this.#ended = reason instanceof Error ? reason : new Error("aborted", { cause: reason });
    this.timedOut = timedOut;
    this.#controller?.abort(this.#ended);
    this.#reject(this.#ended);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#ended) controller.abort(this.#ended);
  }

  onResponseStart(_controller: unknown, statusCode: number, headers: IncomingHttpHeaders): void {
    // Those below come before the answer itself.
    if (statusCode < 200) return;
    this.statusCode = statusCode;
    this.#headers = headers;
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first, ...others] = this.#chunks;
    const bytes = first && others.length === 0 ? first : Buffer.concat(this.#chunks);
    const text = bytes.toString("utf8");
    // A byte order mark is no part of the text.
    const from = text.startsWith("\uFEFF") ? 1 : 0;
    this.#resolve({ statusCode: this.statusCode ?? 0, headers: this.#headers, text: text.slice(from) });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#reject(error);
  }
}
