/**
 * The port through which deliveries leave: a sender for each type of destination. The scheme of a destination's URL chooses
 * the type (registry.ts). To add a type, write its sender, add a line to the registry, and test it.
 */
import type { Exchange } from "../model/types.ts";
import type { Guard } from "./http/guard.ts";

export interface Outgoing {
  /** names in lower case; the sender adds what its protocol needs */
  headers: Record<string, string>;
  body: Buffer;
  /** ends the attempt with the cause `stopped` */
  signal?: AbortSignal | undefined;
}

/** Sends to one destination. Disposing waits for the attempts under way and closes the connections. */
export interface Sender extends AsyncDisposable {
  /**
   * Makes one attempt, which ends within the destination's timeout. Never rejects and never sends twice: each failure is
   * a cause of the exchange. Callers keep to the concurrency.
   */
  send(outgoing: Outgoing): Promise<Exchange>;
}

/** What a sender needs of its destination. */
export interface SenderSettings {
  url: string;
  /** PEM, trusted besides the usual authorities */
  ca: string | null;
  timeoutMs: number;
  /** attempts at the same time */
  concurrency: number;
}

/** What a sender needs of its process. */
export interface SenderContext {
  /** refuses connections to addresses that are not public */
  guard: Guard;
}

/** Which URLs may be delivered to. */
export interface UrlRules {
  allowHttp: boolean;
  /** throws a TartanError where the URL itself shows an address that may not be reached */
  checkUrl(url: URL): void;
}

export interface SenderType {
  /** what is wrong with the URL of a destination of this type; null: nothing */
  urlError(url: URL, rules: UrlRules): string | null;
  open(settings: SenderSettings, context: SenderContext): Sender;
}
