import { connections } from "./connections.ts";
import type { WebSocketClientOptions } from "./options.ts";
import { nodeRuntime } from "./runtime/node-runtime.ts";
import { BaseClient } from "./web-socket-client.ts";

/** A client of any WebSocket server that stays connected; see `docs/client.md`. */
export class WebSocketClient extends BaseClient {
  /** @throws TypeError or RangeError naming the option that is wrong. */
  constructor(url: string | URL, options: WebSocketClientOptions = {}) {
    super(nodeRuntime, url, options);
  }
}

/**
 * One connection after another, for people who want to see each: the next when the last is lost, as the
 * reconnection has it. They never reconnect themselves. One that is still open when the loop goes on is closed
 * first; leaving the loop closes it too. Ends after a normal close, and when the signal aborts.
 *
 * @throws ConnectionFailedError or AuthenticationError if the first attempt fails, or no other will be made;
 * ConnectionClosedError if the last connection was closed for good, but not with 1000.
 */
export function connect(
  url: string | URL,
  options: WebSocketClientOptions = {},
): AsyncGenerator<BaseClient, undefined, undefined> {
  return connections(nodeRuntime, url, options);
}
