import type { ClientConfig } from "../protocol/client-config.ts";
import { mayReturn } from "../protocol/close-codes.ts";
import type { HandshakeFailure } from "./runtime.ts";

/** How long to wait before the next attempt. */
export interface Wait {
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
/** After some close codes: how often in a row to come back, and the least delay in milliseconds. */
const LIMITS: Readonly<Record<number, readonly [times: number, leastMs: number]>> = {
  // Faults of the server.
  1011: [5, 0],
  // It is overloaded.
  1013: [Infinity, 5000],
  // Too many connections: until the place of a lost one is free, which is a lease.
  4008: [1, 15_000],
  // It was flooded.
  4429: [Infinity, 10_000],
};
/** A connection that lasted so long was a good one. */
const STABLE_MS = 5000;

/**
 * Decides whether and when to connect again. Counts attempts from the last connection that lasted; randomness and
 * the time, in milliseconds, are passed in.
 */
export class ReconnectPolicy {
  readonly #config: ClientConfig;
  readonly #random: () => number;
  /** Whether a new token can be had. */
  readonly #renewable: boolean;
  /** How often in a row connections ended with each close code; with 4401 also credentials that were refused. */
  readonly #counts: Map<number, number> = new Map();
  #attempt = 0;
  #openedAt = 0;
  #goodbye: Goodbye | null = null;

  constructor(config: ClientConfig, random: () => number, renewable: boolean) {
    this.#config = config;
    this.#random = random;
    this.#renewable = renewable;
  }

  /** Which attempt in a row comes next, or is being made; 0: none. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Nothing of before counts. */
  reset(): void {
    this.#counts.clear();
    this.startAnew();
  }

  /** The device is back, or the page in sight: attempts are counted anew. */
  startAnew(): void {
    this.#attempt = 0;
  }

  opened(now: number): void {
    this.#openedAt = now;
    this.#goodbye = null;
  }

  /** The server is about to close. */
  goodbye(goodbye: Goodbye): void {
    this.#goodbye = goodbye;
  }

  /** After an open connection was lost. Null: stay away. */
  afterClose(code: number, now: number): Wait | null {
    if (now - this.#openedAt >= STABLE_MS) this.reset();
    const goodbye = this.#goodbye;
    if (!mayReturn(code) || goodbye?.reconnect === false) return null;
    if (code === UNAUTHORIZED) return this.renew();
    const [times, leastMs] = LIMITS[code] ?? [Infinity, 0];
    if (this.#count(code) > times) return null;
    // A goodbye is instead of our own delay; one without a delay cannot be a reason to come back ever faster.
    return goodbye !== null && (goodbye.after_ms > 0 || this.#attempt === 0)
      ? this.#wait(Math.max(goodbye.after_ms, leastMs))
      : this.#backOff(leastMs);
  }

  /** After an attempt that did not end with an open connection. Null: give up. */
  afterFailure(failure: Omit<HandshakeFailure, "error">): Wait | null {
    if (failure.unauthorized) return this.renew();
    return failure.final ? null : this.#backOff(failure.retryAfterMs ?? 0);
  }

  /** The token is not valid any more: one new one may be tried at once. Null: it was. */
  renew(): Wait | null {
    return this.#renewable && this.#count(UNAUTHORIZED) === 1 ? this.#wait(0) : null;
  }

  #count(code: number): number {
    const count = (this.#counts.get(code) ?? 0) + 1;
    this.#counts.set(code, count);
    return count;
  }

  #backOff(leastMs: number): Wait | null {
    const { reconnectBackoffBaseMs, reconnectBackoffMaxMs, reconnectJitter } = this.#config;
    const doubled = reconnectBackoffBaseMs * 2 ** Math.min(this.#attempt, 30);
    const jitter = 1 - reconnectJitter * this.#random();
    const delayMs = Math.min(reconnectBackoffMaxMs, doubled) * jitter;
    return this.#wait(Math.max(delayMs, leastMs), leastMs > 0);
  }

  /** Null if there have been attempts enough. */
  #wait(delayMs: number, firm = true): Wait | null {
    const { reconnectEnabled, reconnectMaxAttempts } = this.#config;
    const enough = reconnectMaxAttempts > 0 && this.#attempt >= reconnectMaxAttempts;
    this.#attempt++;
    return reconnectEnabled && !enough ? { delayMs, firm } : null;
  }
}
