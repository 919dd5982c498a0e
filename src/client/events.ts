import type { ReceivedMessage } from "./runtime.ts";

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

type Listener<Name extends keyof ClientEvents> = (...args: ClientEvents[Name]) => unknown;

/** The listeners of a client. One that throws, or whose promise rejects, harms nobody: `error` tells. */
export interface Emitter {
  /** Adds a listener; returns the function that takes it away again. */
  on<Name extends keyof ClientEvents>(event: Name, listener: Listener<Name>): () => void;
  /** False if nobody listens. */
  emit<Name extends keyof ClientEvents>(event: Name, ...args: ClientEvents[Name]): boolean;
  /** Something failed that nobody waits for. */
  fail(error: unknown): void;
}

export function createEmitter(): Emitter {
  const listeners: Set<{ event: keyof ClientEvents; listener: Listener<never> }> = new Set();
  const emitter: Emitter = {
    on: (event, listener) => {
      if (typeof listener !== "function") {
        throw new TypeError(`listener must be a function.`);
      }
      const added = { event, listener };
      listeners.add(added);
      return () => void listeners.delete(added);
    },
    emit: (event, ...args) => {
      const called = [...listeners].filter((each) => each.event === event);
      for (const { listener } of called) {
        new Promise((resolve) => resolve(listener(...(args as never)))).catch((error) => {
          // A listener of `error` that fails has nobody to tell.
          if (event !== "error") emitter.fail(error);
        });
      }
      return called.length > 0;
    },
    fail: (error) => {
      emitter.emit("error", error instanceof Error ? error : new Error(String(error)));
    },
  };
  return emitter;
}
