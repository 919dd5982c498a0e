/** A `DenseSet` that only its owner changes. Valid until the next change. */
export interface Members<T> {
  readonly items: readonly T[];
  readonly size: number;
  has(item: T): boolean;
}

/**
 * A set whose items lie in an array, for loops that are hot: add, delete and has are O(1), and the
 * order is only kept until something is deleted.
 */
export class DenseSet<T> implements Members<T> {
  readonly #items: T[] = [];
  readonly #places: Map<T, number> = new Map();

  get items(): readonly T[] {
    return this.#items;
  }

  get size(): number {
    return this.#items.length;
  }

  has(item: T): boolean {
    return this.#places.has(item);
  }

  /** Whether it was not there before. */
  add(item: T): boolean {
    if (this.#places.has(item)) return false;
    this.#places.set(item, this.#items.length);
    this.#items.push(item);
    return true;
  }

  /** Whether it was there. */
  delete(item: T): boolean {
    const place = this.#places.get(item);
    if (place === undefined) return false;
    this.#places.delete(item);
    const last = this.#items.pop();
    // The last item takes the place that became free, unless it was the one that went.
    if (last !== undefined && last !== item) {
      this.#items[place] = last;
      this.#places.set(last, place);
    }
    return true;
  }
}
