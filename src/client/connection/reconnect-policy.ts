import type { ClientConfig } from "../../protocol/client-config.ts";
import { mayReturn } from "../../protocol/close-codes.ts";

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
  /** What it is about to close with. */
  readonly code: number;
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
/** A goodbye is about an end with the code it names, or about whatever end comes so soon after it. */
const GOODBYE_MS = 10_000;
/** No timer goes further: 24 days. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Decides whether and when to connect again. Counts attempts from the last connection that lasted; randomness and
 * the time, in milliseconds, are passed in.
 */
export class ReconnectPolicy {
  readonly #config: ClientConfig;
  readonly #random: () => number;
  readonly #isRenewable: boolean;
  /** How often in a row connections ended with each close code; with 4401 also credentials that were refused. */
  readonly #counts: Map<number, number> = new Map();
  #attempt = 0;
  #openedAt = Infinity;
  #goodbye: (Goodbye & { readonly saidAt: number }) | undefined;

  /** `isRenewable`: whether a new token can be had. */
  constructor(config: ClientConfig, random: () => number, isRenewable: boolean) {
    this.#config = config;
    this.#random = random;
    this.#isRenewable = isRenewable;
  }

  /** Whether there was no other attempt because there have been as many as there may be. */
  get isExhausted(): boolean {
    const { reconnectEnabled, reconnectMaxAttempts: most } = this.#config;
    return reconnectEnabled && most > 0 && this.#attempt > most;
  }

  /** Begins anew: somebody wants to connect, the device is back, or the page in sight. */
  reset(): void {
    this.#counts.clear();
    this.#attempt = 0;
  }

  opened(now: number): void {
    this.#openedAt = now;
    this.#goodbye = undefined;
  }

  /** The server is about to close. */
  goodbye(goodbye: Goodbye, now: number): void {
    this.#goodbye = { ...goodbye, saidAt: now };
  }

  /**
   * After an open connection was lost, or an attempt failed: with the code that says the same. Undefined: stay away.
   *
   * @param leastMs how long the server wants to be left alone
   */
  afterEnd(code: number, now: number, leastMs: number = LEAST_MS[code] ?? 0): Wait | undefined {
    if (now - this.#openedAt >= STABLE_MS) this.reset();
    const said = this.#goodbye;
    const goodbye = said && (said.code === code || now - said.saidAt <= GOODBYE_MS) ? said : null;
    // Attempts that fail after this say nothing about it.
    this.opened(Infinity);
    if (!mayReturn(code) || goodbye?.reconnect === false) return undefined;
    if (code === UNAUTHORIZED) return this.renew() ? this.#wait(0) : undefined;
    if (this.#count(code) > (TIMES[code] ?? Infinity)) return undefined;
    // It is instead of our own delay; without a delay it cannot be a reason to come back ever faster.
    const isEnough = goodbye && goodbye.after_ms >= Math.max(leastMs, Math.min(this.#attempt, 1));
    return isEnough ? this.#wait(goodbye.after_ms) : this.#backOff(leastMs);
  }

  /** The token is not valid any more: one new one may be tried at once. False: it was, or there is none. */
  renew(): boolean {
    return this.#isRenewable && this.#count(UNAUTHORIZED) === 1;
  }

  #count(code: number): number {
    const sum = (this.#counts.get(code) ?? 0) + 1;
    this.#counts.set(code, sum);
    return sum;
  }

  /** Undefined if there have been attempts enough. */
  #wait(delayMs: number, firm = true): Wait | undefined {
    this.#attempt++;
    const { reconnectEnabled } = this.#config;
    if (!reconnectEnabled || this.isExhausted) return undefined;
    return { attempt: this.#attempt, delayMs: Math.min(delayMs, MAX_DELAY_MS), firm };
  }

  /** Above the least delay it is random in full, so that those who were sent away together do not come together. */
  #backOff(leastMs: number): Wait | undefined {
    const { reconnectBackoffBaseMs: base, reconnectBackoffMaxMs: max } = this.#config;
    const random = this.#random();
    const doubled = base * 2 ** Math.min(this.#attempt, 30);
    const spreadMs = Math.min(max, Math.max(doubled, leastMs));
    if (leastMs > 0) return this.#wait(leastMs + spreadMs * random);
    return this.#wait(spreadMs * (1 - this.#config.reconnectJitter * random), false);
  }
}
