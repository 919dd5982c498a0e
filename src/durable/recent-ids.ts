/** The ids that were seen last, apart from what they belong to: an id is remembered long after its payload. */
export class RecentIds {
  readonly #max: number;
  readonly #ids: Set<string> = new Set();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size <= this.#max) return;
    // In the order they were added.
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }
}
