const FIRST_SIZE = 16;

/** A queue in which every step takes the same time, however much is in it. */
export class Ring<T> {
  #places: (T | undefined)[] = new Array(FIRST_SIZE);
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: T): void {
    const size = this.#places.length;
    if (this.#length === size) {
      // Unrolled, with as much room behind it.
      this.#places = [...this.#places.splice(this.#first), ...this.#places];
      this.#places.length = size * 2;
      this.#first = 0;
    }
    this.#places[(this.#first + this.#length++) % this.#places.length] = value;
  }

  peek(): T | undefined {
    return this.#places[this.#first];
  }

  /** Takes the oldest; undefined: it is empty. */
  take(): T | undefined {
    const value = this.peek();
    if (this.#length === 0) return undefined;
    this.#places[this.#first++] = undefined;
    this.#first %= this.#places.length;
    // What a crowd needed is given back.
    if (--this.#length === 0) [this.#places.length, this.#first] = [FIRST_SIZE, 0];
    return value;
  }
}
