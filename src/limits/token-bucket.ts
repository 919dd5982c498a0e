/**
 * Lets `perSecond` events through in the long run, and `burst` of them at once. Pure: time is an
 * argument, in milliseconds; a clock that is set back costs nothing but the time in between.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Whether an event at `now` is let through; `cost`: for how many it counts, at most for a whole burst. */
  take(now: number, cost = 1): boolean {
    this.#tokens = this.#refilled(now);
    this.#at = now;
    const counted = Math.min(cost, this.#burst);
    if (this.#tokens < counted) return false;
    this.#tokens -= counted;
    return true;
  }

  /** Whether so little came lately that a whole burst would pass. */
  isFull(now: number): boolean {
    return this.#refilled(now) >= this.#burst;
  }

  #refilled(now: number): number {
    return Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
  }
}
