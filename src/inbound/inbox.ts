import { isThenable } from "../protocol/thenable.ts";
import type { Receipt } from "./receipt.ts";

/** Holds up the sender of messages and lets it go on. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/**
 * Takes one message; a promise (anything with a `then`) holds back the next one until it settles. Settles the
 * receipt, if there is one. MUST NOT throw or reject.
 */
export interface Consumer<T> {
  take(message: T, receipt: Receipt | null): unknown;
}

/** A message that waits, and the receipt it is owed. */
export interface Received<T> {
  readonly message: T;
  readonly receipt: Receipt | null;
}

type Taken<T> = IteratorResult<Received<T>, undefined>;

const END: IteratorReturnResult<undefined> = { value: undefined, done: true };

/**
 * The messages of one connection on their way to whoever reads them: listeners (each, at once), a
 * consumer (one message after another), or readers that iterate. Until somebody reads, messages are
 * kept; when `limit` of them wait, the sender is held up. Nothing is lost before `ignoreRest` or `discard`.
 */
export class Inbox<T> {
  readonly #limit: number;
  readonly #flow: Flow;
  #listeners: Set<(message: T) => void> | null = null;
  /** What waits; those before `#first` were taken. */
  #queue: Received<T>[] | null = null;
  #first = 0;
  #consumer: Consumer<T> | null = null;
  #consuming = false;
  #readers = 0;
  #waiting: ((result: Taken<T>) => void)[] | null = null;
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
    const listeners = this.#listeners ?? [];
    for (const listener of listeners) listener(message);
    const heard = this.#listeners !== null && this.#listeners.size > 0;
    if (this.#consumer !== null) {
      if (this.#consuming || this.#length > 0) this.#keep(message, receipt);
      else this.#consume(this.#consumer, message, receipt);
      return;
    }
    const reader = this.#waiting?.shift();
    if (reader !== undefined) reader({ value: { message, receipt }, done: false });
    else if (this.#readers > 0 || !(heard || this.#ignoring)) this.#keep(message, receipt);
    else if (heard) receipt?.done(undefined);
    else this.#ignore(receipt);
  }

  /** Calls `listener` with each message as it comes, and with those that were kept. It MUST NOT throw. */
  listen(listener: (message: T) => void): () => void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    if (this.#consumer === null && this.#readers === 0) {
      for (const { message, receipt } of this.#takeAll()) {
        listener(message);
        receipt?.done(undefined);
      }
    }
    return () => void this.#listeners?.delete(listener);
  }

  /** Hands each message to `consumer`, one after another. */
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
    if (this.#consumer === null || (!this.#consuming && this.#length === 0)) callback();
    else this.#whenIdle = callback;
  }

  /** No more messages come. Readers get those that are left, then the end. */
  end(): void {
    this.#ended = true;
    for (const reader of this.#waiting ?? []) reader(END);
    this.#waiting = null;
  }

  /** No more messages come, and those that wait are dropped: whoever sent them is not served any more. */
  discard(): void {
    for (const { receipt } of this.#takeAll()) this.#ignore(receipt);
    this.end();
    if (!this.#consuming) this.#becomeIdle();
  }

  /**
   * The messages as they come, until the end. Returning early only stops listening. Whoever asks for the
   * next one, or stops, is done with the last.
   */
  read(): AsyncIterableIterator<T, undefined> {
    const received = this.receive();
    let last: Receipt | null = null;
    const settle = (): void => {
      last?.done(undefined);
      last = null;
    };
    return {
      next: async () => {
        settle();
        const { value } = await received.next();
        if (value === undefined) return END;
        last = value.receipt;
        return { value: value.message, done: false };
      },
      return: async () => {
        settle();
        await received.return?.();
        return END;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** `read`, for those who settle the receipts. */
  receive(): AsyncIterableIterator<Received<T>, undefined> {
    let state: "new" | "reading" | "done" = "new";
    const stop = (): void => {
      if (state === "reading") {
        this.#readers--;
        if (this.#ignoring) this.ignoreRest();
      }
      state = "done";
    };
    return {
      next: async () => {
        if (state === "new") {
          state = "reading";
          this.#readers++;
        }
        const result = state === "done" ? END : await this.#next();
        if (result.done === true) stop();
        return result;
      },
      return: async () => {
        stop();
        return END;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  get #length(): number {
    return this.#queue === null ? 0 : this.#queue.length - this.#first;
  }

  #next(): Promise<Taken<T>> | Taken<T> {
    const received = this.#take();
    if (received !== undefined) return { value: received, done: false };
    if (this.#ended) return END;
    return new Promise((resolve) => {
      this.#waiting ??= [];
      this.#waiting.push(resolve);
    });
  }

  #consumeNext(): void {
    while (!this.#consuming && this.#consumer !== null) {
      const received = this.#take();
      if (received === undefined) {
        this.#becomeIdle();
        return;
      }
      this.#consume(this.#consumer, received.message, received.receipt);
    }
  }

  #becomeIdle(): void {
    this.#whenIdle?.();
    this.#whenIdle = null;
  }

  #consume(consumer: Consumer<T>, message: T, receipt: Receipt | null): void {
    const result = consumer.take(message, receipt);
    if (!isThenable(result)) return;
    this.#consuming = true;
    const settled = (): void => {
      this.#consuming = false;
      this.#consumeNext();
    };
    Promise.resolve(result).then(settled, settled);
  }

  #ignore(receipt: Receipt | null): void {
    this.#ignored++;
    receipt?.failed("not_handled", "Nobody here takes messages.");
  }

  #keep(message: T, receipt: Receipt | null): void {
    this.#queue ??= [];
    this.#queue.push({ message, receipt });
    if (this.#length >= this.#limit && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
  }

  #take(): Received<T> | undefined {
    const received = this.#queue?.[this.#first];
    if (this.#queue === null || received === undefined) return undefined;
    this.#first++;
    // Cut off when they are half of the list: one read of a socket may bring thousands.
    if (this.#first === this.#queue.length) {
      this.#queue = null;
      this.#first = 0;
    } else if (this.#first * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    this.#resume();
    return received;
  }

  #resume(): void {
    if (!this.#paused || this.#length >= this.#limit) return;
    this.#paused = false;
    this.#flow.resume();
  }

  #takeAll(): Received<T>[] {
    const all = this.#queue?.slice(this.#first) ?? [];
    this.#queue = null;
    this.#first = 0;
    this.#resume();
    return all;
  }
}
