/**
 * Closes resources in the opposite order of their opening. (AsyncDisposableStack, which Node 20 does not have yet.)
 */
export class Closer implements AsyncDisposable {
  readonly #opened: AsyncDisposable[] = [];

  /** Registers `resource` to be closed, and returns it. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.#opened.push(resource);
    return resource;
  }

  defer(close: () => Promise<void> | void): void {
    this.#opened.push({ [Symbol.asyncDispose]: async () => close() });
  }

  /** Closes everything, also when one of them fails; the first failure is thrown at the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let resource = this.#opened.pop(); resource !== undefined; resource = this.#opened.pop()) {
      try {
        await resource[Symbol.asyncDispose]();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
