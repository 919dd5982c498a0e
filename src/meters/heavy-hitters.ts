/** One of those that are counted, and by how much its count may be too high. */
export interface Hitter {
  readonly name: string;
  readonly count: number;
  readonly error: number;
}

interface Counted {
  name: string;
  count: number;
  error: number;
  /** Where it lies in the heap. */
  place: number;
}

/**
 * The names that weigh most in a stream, in memory that does not grow: the space-saving algorithm (Metwally, Agrawal and
 * El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005). A name it does not
 * know takes the place of the lightest one and its count, as the most it can have missed. Whatever has more than
 * 1/capacity of the whole weight is among them. A heap finds the lightest, so that adding costs O(log capacity).
 */
export class HeavyHitters {
  readonly #capacity: number;
  readonly #byName: Map<string, Counted> = new Map();
  /** The lightest first; each is no lighter than the one at (place - 1) >> 1. */
  readonly #heap: Counted[] = [];

  constructor(capacity = 64) {
    this.#capacity = capacity;
  }

  add(name: string, weight: number): void {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      known.count += weight;
      this.#sink(known);
    } else if (this.#heap.length < this.#capacity) {
      const one = { name, count: weight, error: 0, place: this.#heap.length };
      this.#byName.set(name, one);
      this.#heap.push(one);
      this.#rise(one);
    } else this.#replaceLightest(name, weight);
  }

  /** All it knows, in no order. */
  list(): Hitter[] {
    return this.#heap.map(({ name, count, error }) => ({ name, count, error }));
  }

  #replaceLightest(name: string, weight: number): void {
    const lightest = this.#heap[0];
    if (lightest === undefined) return;
    this.#byName.delete(lightest.name);
    this.#byName.set(name, lightest);
    lightest.name = name;
    lightest.error = lightest.count;
    lightest.count += weight;
    this.#sink(lightest);
  }

  #rise(one: Counted): void {
    for (;;) {
      const above = this.#heap[(one.place - 1) >> 1];
      if (one.place === 0 || above === undefined || above.count <= one.count) return;
      this.#swap(one, above);
    }
  }

  #sink(one: Counted): void {
    for (;;) {
      const left = this.#heap[2 * one.place + 1];
      const right = this.#heap[2 * one.place + 2];
      const below =
        right !== undefined && left !== undefined && right.count < left.count ? right : left;
      if (below === undefined || below.count >= one.count) return;
      this.#swap(one, below);
    }
  }

  #swap(one: Counted, other: Counted): void {
    const { place } = one;
    this.#heap[other.place] = one;
    this.#heap[place] = other;
    one.place = other.place;
    other.place = place;
  }
}

/** Adds up what several know, the heaviest first. A name that one does not know may have missed nothing there. */
export function mergeHitters(lists: readonly (readonly Hitter[])[], most: number): Hitter[] {
  const sums = new Map<string, { name: string; count: number; error: number }>();
  for (const { name, count, error } of lists.flat()) {
    const sum = sums.get(name) ?? { name, count: 0, error: 0 };
    sum.count += count;
    sum.error += error;
    sums.set(name, sum);
  }
  return [...sums.values()].sort((a, b) => b.count - a.count).slice(0, most);
}

/** The heavy hitters of the last `windowMs` to twice that. */
export class RecentHitters {
  readonly #windowMs: number;
  #before: HeavyHitters = new HeavyHitters();
  #now: HeavyHitters = new HeavyHitters();
  #since = 0;

  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs;
  }

  add(name: string, weight: number): void {
    this.#now.add(name, weight);
  }

  /** The heaviest first; `now` in milliseconds on a monotonic clock. MUST be asked now and then, or nothing is forgotten. */
  top(most: number, now: number): Hitter[] {
    if (now - this.#since >= 2 * this.#windowMs) this.#before = new HeavyHitters();
    const top = mergeHitters([this.#before.list(), this.#now.list()], most);
    if (now - this.#since >= this.#windowMs) {
      this.#before = this.#now;
      this.#now = new HeavyHitters();
      this.#since = now;
    }
    return top;
  }
}
