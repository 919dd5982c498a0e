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

const SERVER_FAULT = 1011;
const TOO_MANY_CONNECTIONS = 4008;
const UNAUTHORIZED = 4401;
/** The least delay after a close code, in milliseconds: an overloaded server, and one that was flooded. */
const LEAST_MS: Readonly<Record<number, number>> = { 1013: 5000, 4429: 10_000 };
/** How long the place of a lost connection stays taken. */
const LEASE_MS = 15_000;
/** Faults of the server in a row. */
const MAX_FAULTS = 5;

/**
 * Decides whether and when to connect again. Counts attempts from the last stable connection; randomness is
 * passed in, and the clock is the caller's.
 */
export class ReconnectPolicy {
  readonly #config: ClientConfig;
  readonly #random: () => number;
  /** Whether a new token can be had. */
  readonly #renewable: boolean;
  #attempt = 0;
  #faults = 0;
  #crowded = false;
  #renewed = false;

  constructor(config: ClientConfig, random: () => number, renewable: boolean) {
    this.#config = config;
    this.#random = random;
    this.#renewable = renewable;
  }

  /** Which attempt in a row comes next, or is being made; 0: none. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The device is back, or the page in sight: attempts are counted anew. */
  startAnew(): void {
    this.#attempt = 0;
  }

  /** The last connection was a good one: nothing before it counts. */
  stable(): void {
    this.#attempt = 0;
    this.#faults = 0;
    this.#crowded = false;
    this.#renewed = false;
  }

  /** After an open connection was lost. Null: stay away. */
  afterClose(code: number, goodbye: Goodbye | null): Wait | null {
    if (!mayReturn(code) || goodbye?.reconnect === false) return null;
    if (code === UNAUTHORIZED) return this.renew();
    if (code === SERVER_FAULT && ++this.#faults > MAX_FAULTS) return null;
    if (code === TOO_MANY_CONNECTIONS) {
      if (this.#crowded) return null;
      this.#crowded = true;
      return this.#wait(LEASE_MS);
    }
    const least = LEAST_MS[code] ?? 0;
    // A goodbye is instead of our own delay; one without a delay cannot be a reason to come back ever faster.
    if (goodbye !== null && (goodbye.after_ms > 0 || this.#attempt === 0)) {
      return this.#wait(Math.max(goodbye.after_ms, least));
    }
    return this.#backOff(least);
  }

  /** After an attempt that did not end with an open connection. Null: give up. */
  afterFailure({
    final,
    unauthorized,
    retryAfterMs = 0,
  }: Omit<HandshakeFailure, "error">): Wait | null {
    if (unauthorized) return this.renew();
    return final ? null : this.#backOff(retryAfterMs);
  }

  /** The token is not valid any more: one new one may be tried at once. Null: it was. */
  renew(): Wait | null {
    if (!this.#renewable || this.#renewed) return null;
    this.#renewed = true;
    return this.#wait(0);
  }

  #backOff(leastMs: number): Wait | null {
    const { reconnectBackoffBaseMs, reconnectBackoffMaxMs, reconnectJitter } = this.#config;
    const doubled = reconnectBackoffBaseMs * 2 ** Math.min(this.#attempt, 30);
    const jitter = 1 - reconnectJitter * this.#random();
    const wait = this.#wait(Math.max(Math.min(reconnectBackoffMaxMs, doubled) * jitter, leastMs));
    return wait && { ...wait, firm: leastMs > 0 };
  }

  /** Null if there have been attempts enough. */
  #wait(delayMs: number): Wait | null {
    const { reconnectEnabled, reconnectMaxAttempts } = this.#config;
    this.#attempt++;
    const enough = reconnectMaxAttempts > 0 && this.#attempt > reconnectMaxAttempts;
    return reconnectEnabled && !enough ? { delayMs, firm: true } : null;
  }
}
