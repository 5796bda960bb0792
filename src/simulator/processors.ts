/**
 * Processor tokens: what a client gives to a partner, who may read one account of an Item with it. A token is valid as long as its
 * Item. It has a webhook URL of its own, and may be limited to some products.
 */
import type { Random } from "./random.ts";

export interface ProcessorToken {
  readonly token: string;
  readonly clientId: string;
  readonly itemId: string;
  readonly accountId: string;
  readonly processor: string;
  /** [] : all products of the Item */
  products: string[];
  webhook: string | null;
}

export class ProcessorTokens {
  readonly #random: Random;
  #tokens = new Map<string, ProcessorToken>();

  constructor(random: Random) {
    this.#random = random;
  }

  create(clientId: string, itemId: string, accountId: string, processor: string): ProcessorToken {
    // The number of tokens so far names the stream, so that a restart continues with new tokens.
    const token = `processor-sandbox-${this.#random.fork(this.#tokens.size + 1).uuid()}`;
    const made = { token, clientId, itemId, accountId, processor, products: [], webhook: null };
    this.#tokens.set(token, made);
    return made;
  }

  find(token: string): ProcessorToken | undefined {
    return this.#tokens.get(token);
  }

  of(itemId: string): ProcessorToken[] {
    return [...this.#tokens.values()].filter((one) => one.itemId === itemId);
  }

  save(): ProcessorToken[] {
    return [...this.#tokens.values()];
  }

  restore(tokens: readonly ProcessorToken[]): void {
    for (const one of tokens) this.#tokens.set(one.token, one);
  }
}
