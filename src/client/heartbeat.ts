import type { ClientConfig } from "../protocol/client-config.ts";
import { type ClientSocket, nothing, type Runtime } from "./runtime.ts";

/**
 * Pings the connection there is, measures how long the answers take, and ends it when nothing has come any more for
 * the ping interval and the timeout.
 */
export interface Heartbeat {
  /** The last round trip, in milliseconds; null: none was measured yet. */
  readonly latency: number | null;
  /** Watches this socket. Without a way to ping it nothing can be noticed. */
  start(socket: ClientSocket, ping: ((id: number) => void) | undefined): void;
  /** Pings now, and from now on. */
  beat(): void;
  /** Something came, so the other side is there. */
  heard(): void;
  ponged(id: number): void;
  stop(): void;
}

export function createHeartbeat(
  { schedule, now }: Runtime,
  { pingIntervalMs, pingTimeoutMs }: ClientConfig,
): Heartbeat {
  let socket: ClientSocket | undefined;
  let ping: ((id: number) => void) | undefined;
  let lastId = 0;
  let pingedAt = 0;
  let latency: number | null = null;
  let cancelPing = nothing;
  /** Undefined: nothing is waited for. */
  let cancelDeadline: (() => void) | undefined;

  function beat(): void {
    cancelPing();
    if (!ping || !pingIntervalMs) return;
    cancelPing = schedule(pingIntervalMs, beat);
    if (cancelDeadline) return;
    expect();
    pingedAt = now();
    ping(++lastId);
  }

  function expect(): void {
    cancelDeadline = schedule(pingTimeoutMs, () => {
      // Where we are the ones not reading, a missing pong proves nothing.
      if (socket?.held) expect();
      else socket?.terminate();
    });
  }

  function heard(): void {
    cancelDeadline?.();
    cancelDeadline = undefined;
  }

  return {
    get latency() {
      return latency;
    },
    start: (watched, by) => {
      socket = watched;
      ping = by;
      latency = null;
      beat();
    },
    beat,
    heard,
    ponged: (id) => {
      heard();
      if (id === lastId) latency = now() - pingedAt;
    },
    stop: () => {
      cancelPing();
      heard();
    },
  };
}
