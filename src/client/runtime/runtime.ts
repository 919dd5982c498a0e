import type { ClientConfig } from "../../protocol/client-config.ts";
import type { ReceivedMessage, WebSocketClientOptions } from "../options.ts";

/** Why a handshake did not end with an open connection, and what can be done. */
export interface HandshakeFailure {
  readonly error: Error;
  /** The close code that would mean the same for who thinks of coming back. Default 1006. */
  readonly code?: number;
  /** How long the server wants to be left alone, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** What a socket is opened with. */
export interface SocketOptions extends Pick<WebSocketClientOptions, "headers" | "subprotocols"> {
  /** Undefined: none. */
  readonly token: string | undefined;
  /** The largest message that is of use, in bytes. A frame may be larger by what its envelope adds. */
  readonly maxMessageSize: number;
}

/** What a socket tells. None of these may throw. */
export interface SocketEvents {
  opened(): void;
  received(message: ReceivedMessage): void;
  /** The answer to `ping`. */
  ponged(id: number): void;
  /**
   * It is over; what is told after it counts for nothing. Codes are those of RFC 6455 section 7.4, 1006 where there
   * was no close frame. `failure` is about a handshake that had not succeeded.
   */
  ended(code: number, reason: string, failure: HandshakeFailure): void;
}

/** One WebSocket, from before its handshake to its end. */
export interface ClientSocket {
  /** The subprotocol the server selected; empty: none. */
  readonly protocol: string;
  /** Bytes that were sent and that the system has not taken yet. */
  readonly bufferedAmount: number;
  /** Resolves when there is room for more; rejects if it could not be sent. */
  send(data: string | Uint8Array): Promise<void>;
  /** Sends a ping (RFC 6455 section 5.5.2). Absent where the runtime cannot. */
  readonly ping?: (id: number) => void;
  /** Stops reading, or goes on. Absent where the runtime cannot. */
  hold?(held: boolean): void;
  /** Whether it does not read because of `hold`. */
  readonly held?: boolean;
  close(code: number, reason: string): void;
  /** Ends it now, without waiting for the peer. */
  terminate(): void;
}

/** What a client needs of where it runs. Tests pass their own clock and randomness by it. */
export interface Runtime {
  /** Whether a handshake can have headers of the application. */
  readonly hasHeaders: boolean;
  /** What differs here from the defaults of the configuration. */
  readonly defaults: Partial<ClientConfig>;
  /**
   * MUST NOT call an event before it has returned.
   *
   * @throws ConnectionFailedError if there can be no such handshake. It MUST NOT hold the token.
   */
  open(url: string, options: SocketOptions, events: SocketEvents): ClientSocket;
  /** Whether there is a network, as far as anybody knows. */
  isOnline(): boolean;
  /** Calls back whenever the device comes online or the page into sight, until the signal aborts. */
  onWake(callback: (why: "online" | "visible") => void, signal: AbortSignal): void;
  /** Milliseconds on a clock that only goes forward. */
  now(): number;
  /** Calls back once after `ms`; returns what prevents it. */
  schedule(ms: number, callback: () => void): () => void;
  /** 0 or more, less than 1. */
  random(): number;
  /** Text that nobody else makes, ever. */
  uniqueId(): string;
}

/** A timer that need not be cancelled, or a failure that somebody else is told. */
export const nothing = (): void => {};
