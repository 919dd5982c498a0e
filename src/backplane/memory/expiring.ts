/** Values that are forgotten after a time of their own. */
export class Expiring<T> {
  readonly #values: Map<string, { readonly value: T; readonly until: number }> = new Map();

  get(key: string): T | undefined {
    const found = this.#values.get(key);
    if (found === undefined || found.until <= Date.now()) return undefined;
    return found.value;
  }

  set(key: string, value: T, forMs: number): void {
    this.#forget();
    this.#values.delete(key);
    this.#values.set(key, { value, until: Date.now() + forMs });
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  /** Those set longest ago are first; most have the same time to live. */
  #forget(): void {
    const now = Date.now();
    for (const [key, { until }] of this.#values) {
      if (until > now) return;
      this.#values.delete(key);
    }
  }
}
