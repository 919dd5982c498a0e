import { isThenable } from "../protocol/thenable.ts";

type Listener<A extends unknown[]> = (...args: A) => unknown;

/**
 * Listeners by event. One that throws, or whose promise rejects, harms nobody: the failure goes to
 * `onFailure`.
 */
export class Listeners<E extends { [K in keyof E]: unknown[] }> {
  readonly #listeners: { [K in keyof E]?: Set<Listener<E[K]>> } = {};
  readonly #onFailure: (error: unknown, event: keyof E) => void;

  constructor(onFailure: (error: unknown, event: keyof E) => void) {
    this.#onFailure = onFailure;
  }

  /** Adds a listener; returns the function that takes it away again. */
  on<K extends keyof E>(event: K, listener: Listener<E[K]>): () => void {
    if (typeof listener !== "function") {
      throw new TypeError(`The listener of ${String(event)} must be a function.`);
    }
    let listeners = this.#listeners[event];
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners[event] = listeners;
    }
    // Wrapped, so that the same function added twice is called twice and removed once.
    const added: Listener<E[K]> = (...args) => listener(...args);
    listeners.add(added);
    return () => void this.#listeners[event]?.delete(added);
  }

  /** Calls every listener of `event`, and answers whether there was one. */
  emit<K extends keyof E>(event: K, ...args: E[K]): boolean {
    const listeners = this.#listeners[event];
    if (listeners === undefined || listeners.size === 0) return false;
    for (const listener of [...listeners]) {
      try {
        const result = listener(...args);
        if (isThenable(result)) {
          result.then(undefined, (error: unknown) => this.#onFailure(error, event));
        }
      } catch (error) {
        this.#onFailure(error, event);
      }
    }
    return true;
  }

  has(event: keyof E): boolean {
    return (this.#listeners[event]?.size ?? 0) > 0;
  }

  clear(): void {
    for (const event in this.#listeners) delete this.#listeners[event];
  }
}
