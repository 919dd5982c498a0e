import type { ReceivedMessage } from "./options.ts";

/** What a client tells, and with what. */
export interface ClientEvents {
  /** A connection was made. */
  readonly open: readonly [event: { readonly reconnected: boolean }];
  readonly message: readonly [message: ReceivedMessage, info: MessageInfo];
  /** It is over, and there will be no other connection. */
  readonly close: readonly [event: CloseEvent];
  readonly reconnecting: readonly [event: ReconnectingEvent];
  /** A room was resumed: everything since the position it stood at follows. With `roomcast.v1`. */
  readonly recovered: readonly [event: { readonly room: string }];
  /** Messages of a room were lost to this client, and its state has to be loaded anew. With `roomcast.v1`. */
  readonly gap: readonly [event: { readonly room: string }];
  /** More came than was taken, by `maxUnreadBytes`: from here on, until all is taken, `whenUnread` has its way. */
  readonly overflow: readonly [event: { readonly unread: number }];
  /** Something failed that nobody waits for. */
  readonly error: readonly [error: Error];
}

/** What `roomcast.v1` says about a message besides its data. */
export interface MessageInfo {
  /** The room it was sent to; absent if it was sent to this connection or user. */
  readonly room?: string | undefined;
  /** Its position in a durable room. */
  readonly id?: string | undefined;
  /** It comes from a replay of the history. */
  readonly replay?: true;
}

/** A connection was lost, or could not be made; the next attempt will be made. */
export interface ReconnectingEvent {
  /** Which attempt in a row it is, from 1. */
  readonly attempt: number;
  /** How long until then, in milliseconds; null: until the device is online again. */
  readonly delayMs: number | null;
  /** How the last connection ended; 1006 where an attempt failed. */
  readonly code: number;
  readonly reason: string;
}

/** The final close. */
export interface CloseEvent {
  readonly code: number;
  readonly reason: string;
}

type Name = keyof ClientEvents;
export type Listener<E extends Name> = (...args: ClientEvents[E]) => unknown;

interface Registration {
  readonly event: Name;
  readonly listener: Listener<never>;
}

/** The listeners of a client. One that throws, or whose promise rejects, harms nobody: `error` tells. */
export class Emitter {
  readonly #registrations: Set<Registration> = new Set();

  /** Adds a listener; returns the function that takes it away again. */
  on<E extends Name>(event: E, listener: Listener<E>): () => void {
    if (typeof listener !== "function") throw new TypeError("listener must be a function.");
    const registration: Registration = { event, listener };
    this.#registrations.add(registration);
    return () => void this.#registrations.delete(registration);
  }

  /** False if nobody listens. */
  emit<E extends Name>(event: E, ...args: ClientEvents[E]): boolean {
    return this.emitWhile(() => true, event, ...args);
  }

  /** As `emit`, but ends with the listener that makes it untrue. */
  emitWhile<E extends Name>(isTrue: () => boolean, event: E, ...args: ClientEvents[E]): boolean {
    const called = [...this.#registrations].filter((each) => each.event === event);
    for (const registration of called) {
      // One before it may have taken it away.
      if (isTrue() && this.#registrations.has(registration)) this.#call(registration, args);
    }
    return called.length > 0;
  }

  /** Something failed that nobody waits for. */
  fail(error: unknown): void {
    this.emit("error", error instanceof Error ? error : new Error(String(error)));
  }

  #call({ event, listener }: Registration, args: readonly unknown[]): void {
    (async () => listener(...(args as never)))().catch((error) => {
      // A listener of `error` that fails has nobody to tell.
      if (event !== "error") this.fail(error);
    });
  }
}
