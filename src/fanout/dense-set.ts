/** A `DenseSet` that only its owner changes. Valid until the next change. */
export interface Members<T> {
  readonly items: readonly T[];
  readonly size: number;
  has(item: T): boolean;
}

/** Up to so many items are found by looking at each, which is as fast and takes no memory. */
const MAX_UNINDEXED = 8;

/**
 * A set whose items lie in an array, for loops that are hot: add, delete and has are O(1), and the
 * order is only kept until something is deleted.
 */
export class DenseSet<T> implements Members<T> {
  #items: T[] = [];
  /** Item → its place; only once there are many. */
  #places: Map<T, number> | null = null;

  get items(): readonly T[] {
    return this.#items;
  }

  get size(): number {
    return this.#items.length;
  }

  has(item: T): boolean {
    return this.#places === null ? this.#items.includes(item) : this.#places.has(item);
  }

  /** Whether it was not there before. */
  add(item: T): boolean {
    if (this.has(item)) return false;
    this.#places?.set(item, this.#items.length);
    // Pushed into an empty array, one item would take the memory of seventeen.
    if (this.#items.length === 0) this.#items = [item];
    else this.#items.push(item);
    if (this.#places === null && this.#items.length > MAX_UNINDEXED) {
      this.#places = new Map(this.#items.map((one, place) => [one, place]));
    }
    return true;
  }

  /** Whether it was there. */
  delete(item: T): boolean {
    const place = this.#places === null ? this.#items.indexOf(item) : this.#places.get(item);
    if (place === undefined || place < 0) return false;
    this.#places?.delete(item);
    const last = this.#items.pop();
    // The last item takes the place that became free, unless it was the one that went.
    if (last !== undefined && last !== item) {
      this.#items[place] = last;
      this.#places?.set(last, place);
    }
    return true;
  }
}
