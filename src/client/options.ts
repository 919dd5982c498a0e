import type { ClientConfig } from "../protocol/client-config.ts";

/** How to connect, and what to do when the connection is lost. */
export interface WebSocketClientOptions {
  /** What differs from the defaults; the answer of `loadConfig` may be given as it is. */
  readonly config?: Partial<ClientConfig> | undefined;
  /** Sent with each handshake. Node.js only. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Offered in this order. `roomcast.v1` gives resume, acknowledgements and latency in browsers. */
  readonly subprotocols?: readonly string[] | undefined;
  /**
   * A credential, or what fetches one for each attempt. In Node.js it travels as `Authorization: Bearer`, in
   * browsers as the subprotocol after `bearer`. What a function throws fails the attempt.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Aborting it closes the client. */
  readonly signal?: AbortSignal | undefined;
  /** How many messages may wait while there is no connection. Default 100. */
  readonly offlineQueue?: number | undefined;
  /** Positions to go on from, as `positions` gave them; `"0"` is the beginning of a room. With `roomcast.v1`. */
  readonly resumeFrom?: Readonly<Record<string, string>> | undefined;
}

/** Until when to wait. */
export interface WaitOptions {
  /** In milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
