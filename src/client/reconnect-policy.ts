import type { ClientConfig } from "../protocol/client-config.ts";
import { mayReturn } from "../protocol/close-codes.ts";
import type { HandshakeFailure } from "./runtime.ts";

/** How long to wait before the next attempt. */
export interface Wait {
  /** Which attempt in a row it is for, from 1. */
  readonly attempt: number;
  readonly delayMs: number;
  /** The server asked for it: not to be cut short because the network is back. */
  readonly firm: boolean;
}

/** What the server said before it closed. */
export interface Goodbye {
  readonly reconnect: boolean;
  readonly after_ms: number;
}

const UNAUTHORIZED = 4401;
/** How often in a row to come back after a fault of the server, and where a user has too many connections. */
const TIMES: Readonly<Record<number, number>> = { 1011: 5, 4008: 1 };
/**
 * The least delay in milliseconds: the server is overloaded; too many connections, until the place of a lost one is
 * free, which is a lease; the server was flooded.
 */
const LEAST_MS: Readonly<Record<number, number>> = { 1013: 5000, 4008: 15_000, 4429: 10_000 };
/** A connection that lasted so long was a good one. */
const STABLE_MS = 5000;
/** No timer goes further: 24 days. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Decides whether and when to connect again. Counts attempts from the last connection that lasted; randomness and
 * the time, in milliseconds, are passed in.
 */
export interface ReconnectPolicy {
  /** Begins anew: somebody wants to connect, the device is back, or the page in sight. */
  reset(): void;
  opened(now: number): void;
  /** The server is about to close. */
  goodbye(goodbye: Goodbye): void;
  /** After an open connection was lost. Undefined: stay away. */
  afterClose(code: number, now: number): Wait | undefined;
  /** After an attempt that did not end with an open connection. Undefined: give up. */
  afterFailure(failure: Omit<HandshakeFailure, "error">): Wait | undefined;
  /** The token is not valid any more: one new one may be tried at once. False: it was, or there is none. */
  renew(): boolean;
}

/** `isRenewable`: whether a new token can be had. */
export function createReconnectPolicy(
  config: ClientConfig,
  random: () => number,
  isRenewable: boolean,
): ReconnectPolicy {
  const { reconnectEnabled, reconnectMaxAttempts, reconnectJitter } = config;
  /** How often in a row connections ended with each close code; with 4401 also credentials that were refused. */
  const counts: Map<number, number> = new Map();
  let attempt = 0;
  let openedAt = 0;
  let goodbye: Goodbye | undefined;

  function reset(): void {
    counts.clear();
    attempt = 0;
  }

  function count(code: number): number {
    const sum = (counts.get(code) ?? 0) + 1;
    counts.set(code, sum);
    return sum;
  }

  /** Undefined if there have been attempts enough. */
  function wait(delayMs: number, firm = true): Wait | undefined {
    attempt++;
    const enough = reconnectMaxAttempts > 0 && attempt > reconnectMaxAttempts;
    return reconnectEnabled && !enough ? { attempt, delayMs, firm } : undefined;
  }

  function backOff(leastMs: number): Wait | undefined {
    const doubled = config.reconnectBackoffBaseMs * 2 ** Math.min(attempt, 30);
    const jitter = 1 - reconnectJitter * random();
    const delayMs = Math.min(config.reconnectBackoffMaxMs, doubled) * jitter;
    return wait(Math.max(delayMs, leastMs), leastMs > 0);
  }

  const renew = (): boolean => isRenewable && count(UNAUTHORIZED) === 1;

  return {
    reset,
    opened: (now) => {
      openedAt = now;
      goodbye = undefined;
    },
    goodbye: (said) => {
      goodbye = said;
    },
    afterClose: (code, now) => {
      if (now - openedAt >= STABLE_MS) reset();
      if (!mayReturn(code) || goodbye?.reconnect === false) return undefined;
      if (code === UNAUTHORIZED) return renew() ? wait(0) : undefined;
      if (count(code) > (TIMES[code] ?? Infinity)) return undefined;
      const leastMs = LEAST_MS[code] ?? 0;
      // A goodbye is instead of our own delay; one without a delay cannot be a reason to come back ever faster.
      return goodbye && goodbye.after_ms >= Math.min(attempt, 1)
        ? wait(Math.min(Math.max(goodbye.after_ms, leastMs), MAX_DELAY_MS))
        : backOff(leastMs);
    },
    afterFailure: ({ unauthorized, final, retryAfterMs = 0 }) => {
      if (unauthorized) return renew() ? wait(0) : undefined;
      return final ? undefined : backOff(retryAfterMs);
    },
    renew,
  };
}
