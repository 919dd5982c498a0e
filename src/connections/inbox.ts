/** Holds up the sender of messages and lets it go on. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/** Takes one message; a promise holds back the next one until it settles. */
export type Consumer<T> = (message: T) => unknown;

/**
 * The messages of one connection on their way to whoever reads them: listeners (each, at once), a
 * consumer (one message after another), or readers that iterate. Until somebody reads, messages are
 * kept; when `limit` of them wait, the sender is held up. Nothing is lost before `ignoreRest`.
 */
export class Inbox<T> {
  readonly #limit: number;
  readonly #flow: Flow;
  readonly #listeners: Set<(message: T) => void> = new Set();
  #queue: T[] = [];
  #consumer: Consumer<T> | null = null;
  #consuming = false;
  #readers = 0;
  #waiting: ((result: IteratorResult<T, undefined>) => void)[] = [];
  #paused = false;
  #ignoring = false;
  #ended = false;
  #ignored = 0;
  #whenIdle: (() => void) | null = null;

  constructor(limit: number, flow: Flow) {
    this.#limit = limit;
    this.#flow = flow;
  }

  /** Messages that came when nobody was listening any more. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Whether the sender is held up because nobody takes what it sent. */
  get paused(): boolean {
    return this.#paused;
  }

  push(message: T): void {
    if (this.#ended) return;
    for (const listener of this.#listeners) listener(message);
    if (this.#consumer !== null) {
      if (this.#consuming || this.#queue.length > 0) this.#keep(message);
      else this.#consume(message);
      return;
    }
    const reader = this.#waiting.shift();
    if (reader !== undefined) reader({ value: message, done: false });
    else if (this.#readers > 0 || (this.#listeners.size === 0 && !this.#ignoring))
      this.#keep(message);
    else if (this.#listeners.size === 0) this.#ignored++;
  }

  /** Calls `listener` with each message as it comes, and with those that were kept. It MUST NOT throw. */
  listen(listener: (message: T) => void): () => void {
    this.#listeners.add(listener);
    if (this.#consumer === null && this.#readers === 0) {
      for (const message of this.#takeAll()) listener(message);
    }
    return () => void this.#listeners.delete(listener);
  }

  /** Hands each message to `consumer`, one after another. It MUST NOT throw or reject. */
  consume(consumer: Consumer<T>): void {
    this.#consumer = consumer;
    this.#consumeNext();
  }

  /** From now on messages that nobody is listening for are counted and dropped. */
  ignoreRest(): void {
    this.#ignoring = true;
    if (this.#consumer === null && this.#readers === 0) this.#ignored += this.#takeAll().length;
  }

  /** Calls `callback` when the consumer is done with every message that has come. */
  whenIdle(callback: () => void): void {
    if (this.#consumer === null || (!this.#consuming && this.#queue.length === 0)) callback();
    else this.#whenIdle = callback;
  }

  /** No more messages come. Readers get those that are left, then the end. */
  end(): void {
    this.#ended = true;
    for (const reader of this.#waiting) reader({ value: undefined, done: true });
    this.#waiting = [];
  }

  /** The messages as they come, until the end. Returning early only stops listening. */
  async *read(): AsyncGenerator<T, undefined, undefined> {
    this.#readers++;
    try {
      for (;;) {
        const result = await this.#next();
        if (result.done === true) return;
        yield result.value;
      }
    } finally {
      this.#readers--;
      if (this.#ignoring) this.ignoreRest();
    }
  }

  #next(): Promise<IteratorResult<T, undefined>> | IteratorResult<T, undefined> {
    const message = this.#queue.shift();
    if (message !== undefined) {
      this.#resume();
      return { value: message, done: false };
    }
    if (this.#ended) return { value: undefined, done: true };
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #consumeNext(): void {
    while (!this.#consuming) {
      const message = this.#queue.shift();
      if (message === undefined) {
        this.#whenIdle?.();
        this.#whenIdle = null;
        return;
      }
      this.#resume();
      this.#consume(message);
    }
  }

  #consume(message: T): void {
    const result = this.#consumer?.(message);
    if (!(result instanceof Promise)) return;
    this.#consuming = true;
    result.then(() => {
      this.#consuming = false;
      this.#consumeNext();
    });
  }

  #keep(message: T): void {
    this.#queue.push(message);
    if (this.#queue.length >= this.#limit && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
  }

  #resume(): void {
    if (!this.#paused || this.#queue.length >= this.#limit) return;
    this.#paused = false;
    this.#flow.resume();
  }

  #takeAll(): T[] {
    const messages = this.#queue;
    this.#queue = [];
    this.#resume();
    return messages;
  }
}
