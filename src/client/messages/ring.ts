const FIRST_SIZE = 16;

/** A queue in which every step takes the same time, however much is in it. */
export class Ring<T> {
  /** Its length is a power of two, so that places wrap by a mask. */
  #places: (T | undefined)[] = new Array(FIRST_SIZE);
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: T): void {
    const size = this.#places.length;
    if (this.#length === size) this.#resize(size * 2);
    this.#places[(this.#first + this.#length) & (this.#places.length - 1)] = value;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#places[this.#first];
  }

  /** Takes the oldest; undefined: it is empty. */
  take(): T | undefined {
    const value = this.#places[this.#first];
    if (this.#length === 0) return undefined;
    this.#places[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#places.length - 1);
    this.#length--;
    // What a crowd needed is given back.
    if (this.#length === 0 && this.#places.length > FIRST_SIZE) this.#resize(FIRST_SIZE);
    return value;
  }

  #resize(size: number): void {
    const { length } = this.#places;
    const inOrder = this.#places.slice(this.#first).concat(this.#places.slice(0, this.#first));
    if (size > length) inOrder.length = size;
    this.#places = size > length ? inOrder : new Array(size);
    this.#first = 0;
  }
}
