import type { PresenceChange, PresenceWatch } from "./watch.ts";

const DONE: Promise<unknown> = Promise.resolve();

/**
 * Reads a watch, which begins with the first `next`. Unlike a generator it can be ended while nothing happens: whoever
 * waits in `next` is told so at once. As with a generator, many may wait, and an error ends it.
 */
export class WatchIterator implements AsyncIterableIterator<PresenceChange> {
  readonly #begin: () => PresenceWatch;
  readonly #signal: AbortSignal | undefined;
  readonly #end = (): void => {
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#end);
    this.#watch?.end();
  };
  #watch: PresenceWatch | null = null;
  #ended = false;
  /** The last `next`, which the one after it waits for. */
  #last: Promise<unknown> = DONE;

  /** An abort of `signal` ends it as `return` does. */
  constructor(begin: () => PresenceWatch, signal: AbortSignal | undefined) {
    this.#begin = begin;
    this.#signal = signal;
    if (signal?.aborted === true) this.#ended = true;
    else signal?.addEventListener("abort", this.#end);
  }

  next(): Promise<IteratorResult<PresenceChange, undefined>> {
    const next = this.#last.then(() => this.#read());
    this.#last = next.catch(() => {});
    return next;
  }

  return(): Promise<IteratorResult<PresenceChange, undefined>> {
    this.#end();
    return Promise.resolve(END);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #read(): Promise<IteratorResult<PresenceChange, undefined>> {
    if (this.#ended) return END;
    try {
      this.#watch ??= this.#begin();
      const value = await this.#watch.next();
      if (value !== null) return { done: false, value };
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#end();
    return END;
  }
}

const END = { done: true, value: undefined } as const;
