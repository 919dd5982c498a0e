/** First in, first out. A step takes the same time on average, however much is in it. */
export class Fifo<T> {
  #coming: T[] = [];
  /** The oldest last, where it is quickly taken. */
  #going: T[] = [];

  get length(): number {
    return this.#coming.length + this.#going.length;
  }

  push(value: T): void {
    this.#coming.push(value);
  }

  /** The oldest, which stays; undefined: it is empty. */
  peek(): T | undefined {
    if (this.#going.length === 0) {
      this.#going = this.#coming.reverse();
      this.#coming = [];
    }
    return this.#going.at(-1);
  }

  /** Takes the oldest; undefined: it is empty. */
  take(): T | undefined {
    this.peek();
    return this.#going.pop();
  }
}
