/** How often those who should be there are counted anew, in milliseconds, even if nobody seems to be missing. */
const COUNT_EVERY_MS = 5000;

/** Whom a roll call asks. Both reject if Redis does not say. */
export interface RollCallHost {
  /** How many instances hear everything that is published. */
  hearing(): Promise<number>;
  /** How many instances there are: their leases are not over, and they have not left. */
  living(): Promise<number>;
}

/**
 * Whether all instances hear what is published in this turn, as far as Redis can tell: those that are cut off, or
 * subscribing again, do not, and are there all the same until their leases are over. One command for all that is published
 * in a turn, beside it; a second one while somebody seems to be missing.
 */
export class RollCall {
  readonly #host: RollCallHost;
  #asked: Promise<boolean> | null = null;
  /** No more than there are; those who have left since may be counted in. */
  #expected = 0;
  #countedAt: number = Number.NEGATIVE_INFINITY;

  constructor(host: RollCallHost) {
    this.#host = host;
  }

  /** Whether nobody is missing. Never rejects: not if nobody can tell. */
  ask(): Promise<boolean> {
    if (this.#asked === null) {
      this.#asked = this.#call();
      setImmediate(() => {
        this.#asked = null;
      });
    }
    return this.#asked;
  }

  async #call(): Promise<boolean> {
    const isDue = performance.now() > this.#countedAt + COUNT_EVERY_MS;
    try {
      const [hearing] = await Promise.all([this.#host.hearing(), isDue && this.#count()]);
      if (hearing >= this.#expected) {
        // Others may have come since they were counted.
        this.#expected = hearing;
        return true;
      }
      // Some may have left since they were counted.
      if (!isDue) await this.#count();
      return hearing >= this.#expected;
    } catch {
      return false;
    }
  }

  async #count(): Promise<void> {
    this.#expected = await this.#host.living();
    this.#countedAt = performance.now();
  }
}
