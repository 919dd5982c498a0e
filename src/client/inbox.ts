import { WebSocketError } from "../protocol/errors.ts";
import type { Emitter, MessageInfo } from "./events.ts";
import type { ReceivedMessage } from "./runtime.ts";

/** Something that came, in its place in the order. */
export interface Arrival {
  /** Null: nothing for the application, which only has to be past it. */
  readonly message: ReceivedMessage | null;
  readonly info: MessageInfo;
  /** Listeners got it, and need not get it again. */
  told?: boolean;
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

/**
 * What came and waits for the application: listeners, which get each message at once, or one reader. Until there
 * is either, messages are kept, and when `limit` of them wait the sender is held up.
 */
export interface Inbox {
  /** Whether the sender is held up because nobody takes what it sent. */
  readonly held: boolean;
  /** Something came. */
  arrive(arrival: Arrival): void;
  /** There is a listener now: it gets what was kept, unless somebody is reading. */
  listened(): void;
  /** No more come. Readers get what is left, and then the error; after a normal end, iterations just end. */
  end(error: Error, isNormal: boolean): void;
  /** More may come again, after what is left of before. */
  begin(): void;
  /**
   * The next message. Whoever got it says when it is taken.
   *
   * @throws WebSocketError (as a rejection) with code `concurrent_recv` if somebody is waiting already; after the
   * last message, the error it ended with.
   */
  take(): Promise<Taking>;
  /** Whoever waits in `take` does not any more. */
  cancel(reason: unknown): void;
  /** The messages until the end. A message is taken when the next one is asked for, or the loop left. */
  read(): AsyncGenerator<ReceivedMessage, undefined, undefined>;
}

interface Reader {
  resolve(taking: Taking): void;
  reject(error: unknown): void;
}

export function createInbox(limit: number, events: Emitter, { hold, taken }: InboxOwner): Inbox {
  let queue: Arrival[] = [];
  let reader: Reader | undefined;
  let iterations = 0;
  let held = false;
  /** Somebody listened when the last message came, or does since. */
  let listening = false;
  /** Why no more come. */
  let ended: Error | undefined;
  /** The last end that was a normal one. */
  let normal: Error | undefined;

  const isRead = (): unknown => reader || iterations;

  function arrive(arrival: Arrival): void {
    const { message, info } = arrival;
    // Whoever begins to read in a listener wants what comes next.
    const wasRead = isRead();
    if (message !== null) {
      arrival.told ||= events.emit("message", message, info);
      listening = arrival.told;
    }
    if (arrival.told && !wasRead) taken(info);
    else {
      queue.push(arrival);
      serve();
    }
  }

  function take(): Promise<Taking> {
    return new Promise((resolve, reject) => {
      if (reader) {
        throw new WebSocketError("Somebody waits already.", {
          code: "concurrent_recv",
        });
      }
      reader = { resolve, reject };
      serve();
    });
  }

  function serve(): void {
    // Not past anything as long as a loop works on the message before it.
    while (queue[0]?.message === null && (reader || !iterations)) {
      taken(queue.shift()?.info ?? {});
    }
    if (reader && (queue.length > 0 || ended)) {
      const next = queue.shift() as Taking | undefined;
      if (next) reader.resolve(next);
      else reader.reject(ended);
      reader = undefined;
    }
    // Where nobody reads but somebody listens, nothing more is queued.
    const isFull = queue.length >= limit && !(listening && !isRead());
    if (isFull !== held) {
      held = isFull;
      hold(held);
    }
  }

  return {
    get held() {
      return held;
    },
    arrive,
    listened: () => {
      listening = true;
      if (isRead()) return;
      const kept = queue;
      queue = [];
      kept.forEach(arrive);
      serve();
    },
    end: (error, isNormal) => {
      ended = error;
      if (isNormal) normal = error;
      serve();
    },
    begin: () => {
      ended = undefined;
    },
    take,
    cancel: (reason) => {
      reader?.reject(reason);
      reader = undefined;
    },
    async *read(): AsyncGenerator<ReceivedMessage, undefined, undefined> {
      iterations++;
      try {
        for (;;) {
          const { message, info } = await take();
          try {
            yield message;
          } finally {
            taken(info);
          }
        }
      } catch (error) {
        if (error !== normal) throw error;
        return undefined;
      } finally {
        iterations--;
        serve();
      }
    },
  };
}
