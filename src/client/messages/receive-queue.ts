import { ConnectionClosedError, WebSocketError } from "../../protocol/errors.ts";
import { type Deferred, deferred } from "../deferred.ts";
import type { Emitter, MessageInfo } from "../events.ts";
import type { ReceivedMessage } from "../options.ts";
import type { ClientSocket } from "../runtime/runtime.ts";
import { tooLarge } from "./encode.ts";
import { Fifo } from "./fifo.ts";
import type { Waiting } from "./until.ts";

/** A place in a room: the application is there when it has taken what came before. */
export interface Step {
  readonly room: string;
  readonly id: string;
  /** Later steps have higher numbers. */
  readonly order: number;
}

/** Something that came, in its place in the order. */
interface Entry {
  /** Null: nothing for the application, which only has to be past its step. */
  readonly message: ReceivedMessage | null;
  readonly info: MessageInfo;
  /** Where the application is after it; undefined: it has no place. */
  readonly step: Step | undefined;
  /** In bytes of memory. */
  readonly size: number;
  /** Listeners got it, and need not get it again. */
  told: boolean;
}

/** A message for the application. */
export interface Received {
  readonly message: ReceivedMessage;
  /** Where the application is when it has taken it, if anywhere. */
  readonly step: Step | undefined;
}

/** What may wait, and what happens beyond. */
export interface ReceiveLimits {
  /** In bytes, of one message. */
  readonly maxMessageSize: number;
  /** So many messages hold up the sender. */
  readonly maxQueueSize: number;
  readonly maxUnreadBytes: number;
  readonly whenUnread: "latest" | "close";
}

/** Who knows where the application stands. */
export interface Places {
  /** The application is past this, if it is anywhere. */
  took(step: Step | undefined): void;
}

/** What a message costs besides its data, in bytes. */
const ENTRY_BYTES = 64;

/**
 * What came and waits for the application: listeners, which get each message at once, or one reader. Until there
 * is either, messages are kept, and when `maxQueueSize` of them wait the sender is held up.
 */
export class ReceiveQueue {
  readonly #limits: ReceiveLimits;
  readonly #events: Emitter;
  readonly #places: Places;
  readonly #close: (error: ConnectionClosedError) => void;
  readonly #entries: Fifo<Entry> = new Fifo();
  #bytes = 0;
  #reader: Deferred<Received> | undefined;
  #loops = 0;
  /** How many wait for what is behind the messages. */
  #beyond = 0;
  /** The open connection, if there is one: whoever can be held up. */
  #socket: ClientSocket | undefined;
  #held = false;
  /** Somebody listened when the last message came, or does since. */
  #listening = false;
  /** Rooms of which messages were dropped since there was too much; undefined: there is not. */
  #overflow: Set<string> | undefined;
  /** Why no more come. */
  #ended: Error | undefined;
  /** The last end that was a normal one. */
  #normal: Error | undefined;

  /** @param close ends the client, for which too much is unread */
  constructor(
    limits: ReceiveLimits,
    events: Emitter,
    places: Places,
    close: (error: ConnectionClosedError) => void,
  ) {
    this.#limits = limits;
    this.#events = events;
    this.#places = places;
    this.#close = close;
  }

  /** Whether what comes now is too much, and is left to another connection. */
  get isClosed(): boolean {
    return this.#overflow !== undefined && this.#limits.whenUnread === "close";
  }

  /**
   * Something came: a message, or null for what is none for the application. A message that is too large is told as
   * an error, and skipped.
   */
  push(message: ReceivedMessage | null, info: MessageInfo, step?: Step): void {
    if (this.isClosed) return;
    const fault = message === null ? undefined : tooLarge(message, this.#limits.maxMessageSize);
    if (fault) this.#events.fail(fault);
    const kept = fault ? null : message;
    const size = ENTRY_BYTES + 2 * (kept?.length ?? 0);
    this.#arrive({ message: kept, info, step, size, told: false });
  }

  /** There is a listener now: it gets what was kept, unless somebody is reading. */
  listened(): void {
    this.#listening = true;
    for (let left = this.#entries.length; left > 0 && !this.#isRead; left--) {
      const entry = this.#take();
      if (entry) this.#arrive(entry);
    }
    this.#serve();
  }

  /** No more come. Readers get what is left, and then the error; after a normal end, iterations just end. */
  end(error: Error, isNormal: boolean): void {
    this.#ended = error;
    if (isNormal) this.#normal = error;
    this.#serve();
  }

  /** What comes now comes over this, until it is lost. */
  open(socket: ClientSocket | undefined): void {
    this.#socket = socket;
    socket?.hold?.(this.#held);
  }

  /** More may come again, after what is left of before. */
  begin(): void {
    this.#ended = undefined;
    // If there is still too much of before, it is told again.
    this.#overflow = undefined;
  }

  /**
   * Waits for the next message. Whoever gets it says when it is taken.
   *
   * @throws ConnectionClosedError (as a rejection) after the last message.
   * @throws WebSocketError with code `concurrent_recv` if somebody is waiting already.
   */
  take(): Waiting<Received> {
    if (this.#reader) {
      throw new WebSocketError("Somebody waits already.", {
        code: "concurrent_recv",
      });
    }
    const reader = deferred<Received>();
    this.#reader = reader;
    this.#serve();
    return {
      promise: reader.promise,
      cancel: (reason) => {
        reader.reject(reason);
        if (this.#reader === reader) this.#reader = undefined;
      },
    };
  }

  /** The messages until the end. A message is taken when the next one is asked for, or the loop left. */
  async *read(): AsyncGenerator<ReceivedMessage, undefined, undefined> {
    this.#loops++;
    try {
      for (;;) {
        const { message, step } = await this.take().promise;
        try {
          yield message;
        } finally {
          this.#places.took(step);
        }
      }
    } catch (error) {
      if (error !== this.#normal) throw error;
      return undefined;
    } finally {
      this.#loops--;
      this.#serve();
    }
  }

  /** What is waited for comes behind the messages, so until then they do not hold up the sender by their number. */
  async readFor<T>(work: Promise<T>): Promise<T> {
    this.#beyond++;
    this.#review();
    try {
      return await work;
    } finally {
      this.#beyond--;
      this.#review();
    }
  }

  /** Looks whether the sender has to be held up. */
  #review(): void {
    const { maxQueueSize, maxUnreadBytes } = this.#limits;
    const isMuch = this.#entries.length >= maxQueueSize && this.#beyond === 0;
    // Where nobody reads but somebody listens, nothing more is queued.
    const isQueued = !this.#listening || this.#isRead;
    const isFull = isQueued && (isMuch || this.#bytes >= maxUnreadBytes);
    if (isFull === this.#held) return;
    this.#held = isFull;
    this.#socket?.hold?.(isFull);
  }

  get #isRead(): boolean {
    return this.#reader !== undefined || this.#loops > 0;
  }

  #arrive(entry: Entry): void {
    const { message, info, step } = entry;
    // Whoever begins to read in a listener wants what comes next.
    const wasRead = this.#isRead;
    if (message !== null) {
      entry.told ||= this.#events.emit("message", message, info);
      this.#listening = entry.told;
    }
    if (entry.told && !wasRead) {
      this.#places.took(step);
      return;
    }
    this.#entries.push(entry);
    this.#bytes += entry.size;
    this.#serve();
    const isTooMuch = message !== null && this.#bytes > this.#limits.maxUnreadBytes;
    // Without a connection nothing comes that would have to be held up.
    if (isTooMuch && this.#socket && !this.#socket.hold) this.#overflowed();
  }

  #take(): Entry | undefined {
    const entry = this.#entries.take();
    this.#bytes -= entry?.size ?? 0;
    if (this.#bytes === 0) this.#overflow = undefined;
    return entry;
  }

  #serve(): void {
    for (;;) {
      const next = this.#entries.peek();
      const reader = this.#reader;
      // Not past anything as long as a loop works on the message before it.
      if (!next || !(reader || (next.message === null && this.#loops === 0))) break;
      const { message, step } = next;
      this.#take();
      if (message === null) this.#places.took(step);
      else {
        this.#reader = undefined;
        reader?.resolve({ message, step });
      }
    }
    if (this.#ended && this.#entries.length === 0) {
      this.#reader?.reject(this.#ended);
      this.#reader = undefined;
    }
    this.#review();
  }

  #overflowed(): void {
    const { maxUnreadBytes, whenUnread } = this.#limits;
    const isNew = !this.#overflow;
    this.#overflow ??= new Set();
    const rooms = this.#overflow;
    const unread = this.#entries.length;
    // The one that has just come stays, however large it is.
    while (whenUnread === "latest" && this.#bytes > maxUnreadBytes && this.#entries.length > 1) {
      const room = this.#take()?.step?.room;
      if (room === undefined || rooms.has(room)) continue;
      rooms.add(room);
      this.#events.emit("gap", { room });
    }
    if (!isNew) return;
    this.#events.emit("overflow", { unread });
    if (this.isClosed) {
      this.#close(new ConnectionClosedError(4413, "too many messages are unread"));
    }
  }
}
