import type { Principal } from "../auth/authenticator.ts";
import type { Message } from "../protocol/payload.ts";
import type { SchemaOutput, StandardSchema } from "../protocol/standard-schema.ts";

export type ConnectionState = "connecting" | "open" | "closing" | "closed";

/** What a client sent: text as a string, binary as bytes. */
export type IncomingMessage = string | Uint8Array;

/** Why and how a connection ended. */
export interface CloseInfo {
  /** RFC 6455 section 7.4; 1005: the peer gave none, 1006: it was cut off. */
  readonly code: number;
  readonly reason: string;
}

/** How far a send got; see `ConnectionManager`. */
export interface Delivery {
  /**
   * "cluster": the backplane gave it to every instance that is there, or stored it for them. "instance": only this
   * instance's connections got it. "unknown": it did not answer in time, or an instance may be missing that is there;
   * they got it here, elsewhere perhaps.
   */
  readonly scope: "cluster" | "instance" | "unknown";
  /** How many connections of this instance it was queued to. */
  readonly localRecipients: number;
  /** The position of the message in a durable room. */
  readonly id?: string;
}

/**
 * Asked whether a connection may join a room. One that throws refuses, and reaches the `error` event.
 */
export type Authorize = (connection: AnyConnection, room: string) => boolean | Promise<boolean>;

/**
 * One accepted WebSocket. Iterating over it gives its messages until it closes: what the client sent,
 * or, on a route with a schema, what the schema made of it. `M`: its messages; `D`: its `metadata`.
 */
export interface Connection<M = IncomingMessage, D extends object = Record<string, unknown>>
  extends AsyncIterable<M> {
  /** Unique in the cluster. */
  readonly id: string;
  readonly userId: string | undefined;
  /** Who it belongs to, as it was proven; null where nothing was. */
  readonly principal: Principal | null;
  /**
   * The rooms it is in, or was in when it closed. While what it sent before is still being handled, joining and
   * leaving go on to change them.
   */
  readonly rooms: ReadonlySet<string>;
  /** As given to `connect`; the application's own. */
  readonly metadata: D;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /** When something last came from the client, in milliseconds since the epoch. */
  readonly lastActivityAt: number;
  readonly state: ConnectionState;
  /** Bytes that were sent to this connection and that the system has not taken yet. */
  readonly bufferedAmount: number;
  /** The client's address, by what trusted proxies say; undefined where the socket does not tell. */
  readonly remoteAddress: string | undefined;

  /**
   * Sends to this connection alone. Resolves when the message is queued; `localRecipients` is 0 if the
   * connection is no longer open.
   *
   * @throws TypeError (as a rejection) if the message cannot be encoded.
   */
  send<T = Message>(message: T): Promise<Delivery>;

  /**
   * Asks the client something, by `roomcast.v1`, and resolves with its answer: what the `onRequest` of a `WebSocketClient`
   * returned. `data` is any JSON value; `timeoutMs` is 30,000 unless given, and at most 600,000. A client that was asked and
   * comes back on another connection has not answered: ask again there.
   *
   * @throws WebSocketError (as a rejection): `not_supported` if it does not speak `roomcast.v1`, `timeout`, `request_failed`.
   * @throws ConnectionClosedError (as a rejection) if the connection ends first.
   * @throws TypeError or RangeError (as a rejection) for data without a form in JSON, or a time that is not allowed.
   */
  request<T = unknown>(data: unknown, options?: { readonly timeoutMs?: number }): Promise<T>;

  /** Resolves when the system has taken everything that was sent, or the connection has ended: for whoever sends a lot. */
  drained(): Promise<void>;

  /**
   * Joins a room. Resolves to whether that changed anything, once messages to the room will arrive. If
   * the route's `authorize` refuses, the client gets an `error` frame `forbidden`.
   *
   * @throws TypeError or RangeError (as a rejection) if `room` is not a valid name.
   */
  join(room: string): Promise<boolean>;

  /** Leaves a room. Resolves to whether the connection was in it. */
  leave(room: string): Promise<boolean>;

  /**
   * Sends what is pending and then a close frame; does nothing if the connection is not open.
   *
   * @throws RangeError for a code or reason that RFC 6455 section 7.4 does not allow. Defaults to 1000.
   */
  close(code?: number, reason?: string): void;

  /**
   * Pings the client. Resolves to the round-trip time in milliseconds.
   *
   * @throws ConnectionClosedError (as a rejection) if the connection ends first.
   */
  ping(): Promise<number>;

  /** Adds a listener; returns the function that takes it away again. */
  on(event: "message", listener: (message: M) => unknown): () => void;
  on(event: "close", listener: (info: CloseInfo) => unknown): () => void;

  /**
   * The messages as parsed JSON, or, with a schema, as it makes them. What does not parse or fit is
   * answered with an `error` frame and skipped; the fifth in a row closes the connection with 1008.
   */
  json(): AsyncIterableIterator<unknown>;
  json<S extends StandardSchema>(schema: S): AsyncIterableIterator<SchemaOutput<S>>;
}

/** A connection whose user was proven, as on a route that requires a credential. */
export interface UserConnection<M = IncomingMessage, D extends object = Record<string, unknown>>
  extends Connection<M, D> {
  readonly userId: string;
  readonly principal: Principal;
}

/** Any connection, whatever its messages and its metadata are. */
export type AnyConnection = Connection<unknown, object>;
