/**
 * The subprotocol `roomcast.v1`, as `docs/PROTOCOL.md` has it. This file is for both ends and every
 * runtime: it imports nothing and uses nothing that a browser lacks.
 */
export const SUBPROTOCOL = "roomcast.v1";

/** The name of the log of messages to everyone. No room can be called so: it has braces. */
export const EVERYONE = "{broadcast}";

/** The position before the first message of every room. */
export const BEGINNING = "0";

/** Rooms in one `resume` frame. */
export const MAX_RESUMED_ROOMS = 100;

/** Rooms in all `resume` frames of a connection. */
export const MAX_RESUMED_IN_ALL = 1000;

/** The longest id of a client's message, in UTF-16 units. */
export const MAX_MESSAGE_ID_LENGTH = 128;

/** Where a message stands in the log of its room. Both are positions: opaque, to be compared for equality. */
export interface Link {
  /** Its own place. */
  readonly id: string;
  /** The place of the message before it; `"0"` for the first. */
  readonly prev: string;
}

/** What a server sends, apart from binary messages. */
export type ServerFrame =
  | WelcomeFrame
  | MessageFrame
  | SkipFrame
  | JoinedFrame
  | { readonly type: "left"; readonly room: string }
  | { readonly type: "gap"; readonly room: string }
  | { readonly type: "refresh"; readonly in_ms: number }
  | { readonly type: "pong"; readonly t?: unknown }
  | { readonly type: "ack"; readonly id: string; readonly data?: unknown }
  | { readonly type: "request"; readonly id: string; readonly data: unknown }
  | ErrorFrame
  | GoodbyeFrame;

export interface WelcomeFrame {
  readonly type: "welcome";
  readonly connection: string;
  readonly instance: string;
  /** How often the server pings, in milliseconds; 0: never. */
  readonly heartbeat_ms: number;
}

export interface MessageFrame extends Partial<Link> {
  readonly type: "message";
  readonly room?: string;
  /** The text of the message; absent in a binary frame, where the bytes follow. */
  readonly data: string;
}

/** A message of a durable room that this connection was left out of. */
export interface SkipFrame extends Link {
  readonly type: "message";
  readonly room: string;
  readonly skip: true;
}

export interface JoinedFrame {
  readonly type: "joined";
  readonly room: string;
  /** null: nothing was asked. */
  readonly recovered: boolean | null;
  /** Where the client stands once it has what follows; null in a room without a log. */
  readonly position: string | null;
}

export interface ErrorFrame {
  readonly type: "error";
  readonly code: string;
  readonly message: string;
  /** Of the client's message this answers. */
  readonly id?: string;
  /** The room it is about. */
  readonly room?: string;
}

export interface GoodbyeFrame {
  readonly type: "goodbye";
  readonly code: number;
  readonly reconnect: boolean;
  readonly after_ms: number;
}
