import type { RateVerdict } from "../limits/message-rate.ts";

/**
 * What a connection has beyond others if it speaks a subprotocol of ours: whoever opens the frames its client
 * sends, and where the client says it stands. `v1/session.ts` is the one for `roomcast.v1`. Nothing here throws.
 */
export interface Dialect {
  /** Where the client stands in its rooms, as it said; who uses a position deletes it. */
  readonly positions: Map<string, string>;
  /** Whether the client has said where it stands, or was given the time to. */
  readonly isReady: boolean;
  /** Takes a frame of the client. `verdict`: whether messages may come so fast. */
  receive(bytes: Buffer, binary: boolean, verdict: RateVerdict): void;
  /** Looks at what is due; `now` on the clock of `performance.now()`, `date` in milliseconds since the epoch. */
  tick(now: number, date: number): void;
  /** Asks the client something, and resolves with its answer. Rejects as `Connection.request` does. */
  request(data: unknown, timeoutMs: number): Promise<unknown>;
  /** The connection has ended. */
  ended(code: number): void;
  /** Calls `callback` when every message that has come is in the inbox. */
  whenIdle(callback: () => void): void;
}
