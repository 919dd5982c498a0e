/** So many keys are remembered; the oldest is forgotten for a new one. */
const MAX_KEYS = 10_000;

interface Failures {
  count: number;
  readonly since: number;
}

/** Counts failures by key (an address), so that whoever fails `max` times in `windowMs` has to wait. */
export class FailureLimit {
  readonly #max: number;
  readonly #windowMs: number;
  readonly #failures: Map<string, Failures> = new Map();

  constructor(max: number, windowMs: number) {
    this.#max = max;
    this.#windowMs = windowMs;
  }

  /** How long this key has to wait from `now` on, in milliseconds; 0: not at all. */
  wait(key: string, now: number): number {
    const failures = this.#failures.get(key);
    if (failures === undefined) return 0;
    const left = failures.since + this.#windowMs - now;
    if (left <= 0) this.#failures.delete(key);
    return failures.count >= this.#max ? Math.max(0, left) : 0;
  }

  /** This key has failed. */
  fail(key: string, now: number): void {
    const failures = this.#failures.get(key);
    if (failures !== undefined) {
      failures.count++;
      return;
    }
    const [oldest] = this.#failures.size >= MAX_KEYS ? this.#failures.keys() : [];
    if (oldest !== undefined) this.#failures.delete(oldest);
    this.#failures.set(key, { count: 1, since: now });
  }
}
