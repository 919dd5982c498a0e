/**
 * What somebody may use up of something in the long run, and at once. Whoever has used more than there is owes it:
 * the next use has to wait. Pure: time is an argument, in milliseconds.
 */
export class Budget {
  readonly #perMs: number;
  readonly #burst: number;
  #left: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#left = burst;
    this.#at = now;
  }

  /** How long to wait until nothing is owed, in milliseconds. */
  wait(now: number): number {
    this.#refill(now);
    // Sums of fractions miss nothing by a hair.
    return this.#left > -1e-6 ? 0 : Math.ceil(-this.#left / this.#perMs);
  }

  /** So much was used, after a `wait` of 0. */
  use(amount: number, now: number): void {
    this.#refill(now);
    this.#left -= amount;
  }

  #refill(now: number): void {
    this.#left = Math.min(this.#burst, this.#left + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = now;
  }
}
