import { WebSocketError } from "../protocol/errors.ts";
import type { Emitter } from "./events.ts";
import type { ReceivedMessage } from "./runtime.ts";

/** What `roomcast.v1` says about a message besides its data. */
export interface MessageInfo {
  /** The room it was sent to; absent if it was sent to this connection or user. */
  readonly room?: string | undefined;
  /** Its position in a durable room. */
  readonly id?: string | undefined;
  /** It comes from a replay of the history. */
  readonly replay?: true;
}

/** Something that came, in its place in the order. */
export interface Arrival {
  /** Null: nothing for the application, which only has to be past it. */
  readonly message: ReceivedMessage | null;
  readonly info: MessageInfo;
}

/** A message for the application. */
export interface Taking extends Arrival {
  readonly message: ReceivedMessage;
}

/** Whose inbox it is. */
export interface InboxOwner {
  /** Holds up the sender, or lets it go on. */
  hold(held: boolean): void;
  /** The application is done with this. */
  taken(info: MessageInfo): void;
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
  readonly #events: Emitter;
  readonly #owner: InboxOwner;
  readonly #queue: Arrival[] = [];
  #reader: Reader | null = null;
  #iterations = 0;
  #held = false;
  /** Why no more come: null for a normal end; undefined while they do. */
  #end: Error | null | undefined;

  constructor(limit: number, events: Emitter, owner: InboxOwner) {
    this.#limit = limit;
    this.#events = events;
    this.#owner = owner;
  }

  /** Whether the sender is held up because nobody takes what it sent. */
  get held(): boolean {
    return this.#held;
  }

  push(arrival: Arrival): void {
    const { message, info } = arrival;
    const told = message !== null && this.#events.emit("message", message, info);
    if (told && !this.#isRead) this.#owner.taken(info);
    else {
      this.#queue.push(arrival);
      this.#serve();
    }
  }

  /** There is a listener now: it gets what was kept, unless somebody is reading. */
  listened(): void {
    if (this.#isRead) return;
    for (const arrival of this.#queue.splice(0)) this.push(arrival);
    this.#serve();
  }

  /** No more come. Readers get what is left; then the end, or the error. */
  end(error: Error | null): void {
    this.#end = error;
    this.#serve();
  }

  /** More may come again; what is left of before is not of interest any more. */
  begin(): void {
    this.#end = undefined;
    this.#held = false;
    this.#queue.length = 0;
  }

  /**
   * The next message; null at a normal end. Whoever got it says when it is taken.
   *
   * @throws WebSocketError (as a rejection) with code `concurrent_recv` if somebody is waiting already.
   */
  take(): Promise<Taking | null> {
    return new Promise((resolve, reject) => {
      if (this.#reader !== null) {
        throw new WebSocketError("Only one recv or iteration can wait at a time.", {
          code: "concurrent_recv",
        });
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
          this.#owner.taken(next.info);
        }
      }
    } finally {
      this.#iterations--;
    }
  }

  get #isRead(): boolean {
    return this.#reader !== null || this.#iterations > 0;
  }

  #serve(): void {
    const queue = this.#queue;
    const reader = this.#reader;
    // Not past anything as long as a loop works on the message before it.
    while (queue[0]?.message === null && (reader !== null || this.#iterations === 0)) {
      this.#owner.taken(queue.shift()?.info ?? {});
    }
    if (reader !== null && (queue.length > 0 || this.#end !== undefined)) {
      this.#reader = null;
      const { message = null, info = {} } = queue.shift() ?? {};
      if (message !== null) reader.resolve({ message, info });
      else if (this.#end) reader.reject(this.#end);
      else reader.resolve(null);
    }
    const held = queue.length >= this.#limit;
    if (held !== this.#held) {
      this.#held = held;
      this.#owner.hold(held);
    }
  }
}
