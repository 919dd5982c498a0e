import type { Receipt } from "./receipt.ts";

/** Holds up the sender of messages and lets it go on. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/** Takes one message; a promise holds back the next one until it settles. Settles the receipt, if there is one. */
export type Consumer<T> = (message: T, receipt: Receipt | null) => unknown;

/** A message that waits, and the receipt it is owed. */
export interface Received<T> {
  readonly message: T;
  readonly receipt: Receipt | null;
}

/**
 * The messages of one connection on their way to whoever reads them: listeners (each, at once), a
 * consumer (one message after another), or readers that iterate. Until somebody reads, messages are
 * kept; when `limit` of them wait, the sender is held up. Nothing is lost before `ignoreRest`.
 */
export class Inbox<T> {
  readonly #limit: number;
  readonly #flow: Flow;
  readonly #listeners: Set<(message: T) => void> = new Set();
  #queue: Received<T>[] = [];
  #consumer: Consumer<T> | null = null;
  #consuming = false;
  #readers = 0;
  #waiting: ((result: IteratorResult<Received<T>, undefined>) => void)[] = [];
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

  push(message: T, receipt: Receipt | null = null): void {
    if (this.#ended) {
      this.#ignore(receipt);
      return;
    }
    for (const listener of this.#listeners) listener(message);
    if (this.#consumer !== null) {
      if (this.#consuming || this.#queue.length > 0) this.#keep(message, receipt);
      else this.#consume(message, receipt);
      return;
    }
    const reader = this.#waiting.shift();
    if (reader !== undefined) reader({ value: { message, receipt }, done: false });
    else if (this.#readers > 0 || (this.#listeners.size === 0 && !this.#ignoring))
      this.#keep(message, receipt);
    else if (this.#listeners.size === 0) this.#ignore(receipt);
    else receipt?.done(undefined);
  }

  /** Calls `listener` with each message as it comes, and with those that were kept. It MUST NOT throw. */
  listen(listener: (message: T) => void): () => void {
    this.#listeners.add(listener);
    if (this.#consumer === null && this.#readers === 0) {
      for (const { message, receipt } of this.#takeAll()) {
        listener(message);
        receipt?.done(undefined);
      }
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
    if (this.#consumer !== null || this.#readers > 0) return;
    for (const { receipt } of this.#takeAll()) this.#ignore(receipt);
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

  /**
   * The messages as they come, until the end. Returning early only stops listening. Whoever asks for the
   * next one, or stops, is done with the last.
   */
  async *read(): AsyncGenerator<T, undefined, undefined> {
    for await (const { message, receipt } of this.receive()) {
      try {
        yield message;
      } finally {
        receipt?.done(undefined);
      }
    }
  }

  /** `read`, for those who settle the receipts. */
  async *receive(): AsyncGenerator<Received<T>, undefined, undefined> {
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

  #next():
    | Promise<IteratorResult<Received<T>, undefined>>
    | IteratorResult<Received<T>, undefined> {
    const received = this.#queue.shift();
    if (received !== undefined) {
      this.#resume();
      return { value: received, done: false };
    }
    if (this.#ended) return { value: undefined, done: true };
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #consumeNext(): void {
    while (!this.#consuming) {
      const received = this.#queue.shift();
      if (received === undefined) {
        this.#whenIdle?.();
        this.#whenIdle = null;
        return;
      }
      this.#resume();
      this.#consume(received.message, received.receipt);
    }
  }

  #consume(message: T, receipt: Receipt | null): void {
    const result = this.#consumer?.(message, receipt);
    if (!(result instanceof Promise)) return;
    this.#consuming = true;
    result.then(() => {
      this.#consuming = false;
      this.#consumeNext();
    });
  }

  #ignore(receipt: Receipt | null): void {
    this.#ignored++;
    receipt?.failed("not_handled", "Nobody here takes messages.");
  }

  #keep(message: T, receipt: Receipt | null): void {
    this.#queue.push({ message, receipt });
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

  #takeAll(): Received<T>[] {
    const all = this.#queue;
    this.#queue = [];
    this.#resume();
    return all;
  }
}
