import { WebSocketError } from "../protocol/errors.ts";
import type { Emitter } from "./events.ts";
import type { ReceivedMessage } from "./runtime.ts";

/** What `roomcast.v1` says about a message besides its data. */
export interface MessageInfo {
  /** The room it was sent to; absent if it was sent to this connection or user. */
  readonly room?: string;
  /** Its position in a durable room. */
  readonly id?: string;
  /** It comes from a replay of the history. */
  readonly replay?: true;
}

/** Something that came, in its place in the order. */
export interface Arrival {
  /** Null: nothing for the application, which only has to be past it. */
  readonly message: ReceivedMessage | null;
  readonly info: MessageInfo;
  /** The application is done with it. */
  readonly taken: (() => void) | null;
}

/** A message for the application. */
export interface Taking {
  readonly message: ReceivedMessage;
  /** To be called when it is done with it. */
  taken(): void;
}

/** Holds up the sender and lets it go on. */
export interface Flow {
  pause(): void;
  resume(): void;
}

interface Reader {
  resolve(taking: Taking | null): void;
  reject(error: unknown): void;
}

/**
 * What came and waits for the application: listeners, which get each message at once, or one reader. Until there
 * is either, messages are kept, and when `limit` of them wait the sender is held up.
 */
export class Inbox {
  readonly #limit: number;
  readonly #flow: Flow;
  readonly #events: Emitter;
  readonly #queue: Arrival[] = [];
  #reader: Reader | null = null;
  #iterations = 0;
  #paused = false;
  /** Why no more come: null for a normal end; undefined while they do. */
  #end: Error | null | undefined;

  constructor(limit: number, flow: Flow, events: Emitter) {
    this.#limit = limit;
    this.#flow = flow;
    this.#events = events;
  }

  /** Whether the sender is held up because nobody takes what it sent. */
  get paused(): boolean {
    return this.#paused;
  }

  push(arrival: Arrival): void {
    const told =
      arrival.message !== null && this.#events.emit("message", arrival.message, arrival.info);
    if (told && this.#reader === null && this.#iterations === 0) {
      arrival.taken?.();
      return;
    }
    this.#queue.push(arrival);
    this.#serve();
    if (!this.#paused && this.#queue.length >= this.#limit) {
      this.#paused = true;
      this.#flow.pause();
    }
  }

  /** There is a listener now: it gets what was kept, unless somebody is reading. */
  listened(): void {
    if (this.#reader !== null || this.#iterations > 0) return;
    for (const { message, info, taken } of this.#queue.splice(0)) {
      if (message !== null) this.#events.emit("message", message, info);
      taken?.();
    }
    this.#resume();
  }

  /** No more come. Readers get what is left; then the end, or the error. */
  end(error: Error | null): void {
    this.#end = error;
    this.#serve();
  }

  /** More may come again; what is left of before is not of interest any more. */
  begin(): void {
    this.#end = undefined;
    this.#queue.length = 0;
    this.#paused = false;
  }

  /**
   * The next message; null at a normal end. Whoever got it calls its `taken`.
   *
   * @throws WebSocketError (as a rejection) with code `concurrent_recv` if somebody is waiting already.
   */
  take(): Promise<Taking | null> {
    return new Promise((resolve, reject) => {
      if (this.#reader !== null) {
        const message = "Only one recv or iteration can wait for a message at a time.";
        reject(new WebSocketError(message, { code: "concurrent_recv" }));
        return;
      }
      this.#reader = { resolve, reject };
      this.#serve();
    });
  }

  /** Whoever waits in `take` does not any more. */
  cancel(reason: unknown): void {
    this.#reader?.reject(reason);
    this.#reader = null;
  }

  /** The messages until the end. A message is taken when the next one is asked for, or the loop left. */
  async *read(): AsyncGenerator<ReceivedMessage, undefined, undefined> {
    this.#iterations++;
    try {
      for (let next = await this.take(); next !== null; next = await this.take()) {
        try {
          yield next.message;
        } finally {
          next.taken();
        }
      }
    } finally {
      this.#iterations--;
    }
  }

  #serve(): void {
    while (this.#queue[0]?.message === null) this.#queue.shift()?.taken?.();
    const reader = this.#reader;
    if (reader === null) return;
    const { message, taken } = this.#queue.shift() ?? {};
    if (message != null) {
      reader.resolve({ message, taken: () => taken?.() });
      this.#resume();
    } else if (this.#end instanceof Error) reader.reject(this.#end);
    else if (this.#end === null) reader.resolve(null);
    else return;
    this.#reader = null;
  }

  #resume(): void {
    if (!this.#paused || this.#queue.length >= this.#limit) return;
    this.#paused = false;
    this.#flow.resume();
  }
}
