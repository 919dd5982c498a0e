/** Channels by the bucket they lie in: what goes into one command in a Cluster. */
export class ByBucket {
  readonly #bucketOf: (channel: string) => number;
  readonly #channels: Map<number, Set<string>> = new Map();

  constructor(bucketOf: (channel: string) => number) {
    this.#bucketOf = bucketOf;
  }

  get isEmpty(): boolean {
    return this.#channels.size === 0;
  }

  add(channel: string): void {
    const bucket = this.#bucketOf(channel);
    const channels = this.#channels.get(bucket);
    if (channels === undefined) this.#channels.set(bucket, new Set([channel]));
    else channels.add(channel);
  }

  delete(channel: string): void {
    const bucket = this.#bucketOf(channel);
    const channels = this.#channels.get(bucket);
    channels?.delete(channel);
    if (channels?.size === 0) this.#channels.delete(bucket);
  }

  /** Takes out some of one bucket, at most so many; none if there are none. */
  take(most: number): string[] {
    for (const [bucket, channels] of this.#channels) {
      const taken: string[] = [];
      for (const channel of channels) {
        if (taken.length === most) break;
        taken.push(channel);
        channels.delete(channel);
      }
      if (channels.size === 0) this.#channels.delete(bucket);
      return taken;
    }
    return [];
  }

  clear(): void {
    this.#channels.clear();
  }
}
