import type { ClientConfig } from "../protocol/client-config.ts";
import { toUtf8 } from "./messages/encode.ts";

/** A message as it arrives: text, or the bytes of a binary one. */
export type ReceivedMessage = string | Uint8Array;

/** A credential; null, undefined and blank text stand for none. */
export type Token = string | null | undefined;

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
   * browsers as the subprotocol after `bearer`, which cannot hold `=` or `/`. What a function throws fails the attempt.
   */
  readonly token?: Token | (() => Token | Promise<Token>);
  /** Answers what the server asks (`connection.request`), by `roomcast.v1`. What it throws goes to `error`. */
  readonly onRequest?: ((data: unknown) => unknown) | undefined;
  /** Aborting it closes the client. */
  readonly signal?: AbortSignal | undefined;
  /** How many messages may wait while there is no connection. Default 100. */
  readonly offlineQueue?: number | undefined;
  /** Positions to go on from, as `positions` gave them; `"0"` is the beginning of a room. With `roomcast.v1`. */
  readonly resumeFrom?: Readonly<Record<string, string>> | undefined;
  /** How much received and not yet taken data is kept, in bytes of memory. Default 16 MiB. */
  readonly maxUnreadBytes?: number | undefined;
  /**
   * What happens beyond `maxUnreadBytes` where reading cannot be held up, as in browsers. `latest` (the default):
   * the oldest messages are dropped; rooms that lost some have a `gap`. `close`: the client closes, with 4413.
   */
  readonly whenUnread?: "latest" | "close" | undefined;
}

/** Until when to wait. */
export interface WaitOptions {
  /** In milliseconds. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const MAX_REASON_BYTES = 123;

/** How much may wait, and what happens beyond. */
export interface Bounds {
  readonly offlineQueue: number;
  readonly maxUnreadBytes: number;
  readonly whenUnread: "latest" | "close";
}

/**
 * How much may wait, by these options and the defaults.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function resolveOptions(options: WebSocketClientOptions, hasHeaders: boolean): Bounds {
  const { headers, offlineQueue = 100, whenUnread = "latest" } = options;
  const { maxUnreadBytes = 16 * 1024 * 1024 } = options;
  if (headers && !hasHeaders) throw new TypeError("headers cannot be set here.");
  check("offlineQueue", offlineQueue, offlineQueue >= 0, "0 or more");
  check("maxUnreadBytes", maxUnreadBytes, maxUnreadBytes > 0, "more than 0");
  check("whenUnread", whenUnread, /^(latest|close)$/.test(whenUnread), "latest or close");
  return { offlineQueue, maxUnreadBytes, whenUnread };
}

/** @throws TypeError if it is no address of a WebSocket server. */
export function checkUrl(url: string | URL): string {
  const text = String(url);
  if (/^wss?:\/\/[^#]+$/.test(text) && URL.canParse(text)) return text;
  // It may hold a secret, so it is not shown.
  throw new TypeError("url must be ws: or wss: without a fragment.");
}

/** @throws RangeError if a client may not close with these. */
export function checkClose(code: number, reason: string): void {
  const isCode = code === 1000 || (code >= 3000 && code <= 4999);
  check("code", code, Number.isInteger(code) && isCode, "1000 or 3000 to 4999");
  const size = toUtf8(reason).length;
  check("reason", `${size} bytes`, size <= MAX_REASON_BYTES, `at most ${MAX_REASON_BYTES}`);
}

/** @throws RangeError naming what is wrong, unless it is good. */
export function check(name: string, value: unknown, isGood: boolean, allowed: string): void {
  if (!isGood) throw new RangeError(`${name} must be ${allowed}, not ${value}.`);
}
