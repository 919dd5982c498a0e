/** How long a channel is kept after the last interest in it, in milliseconds; plus as much at random. */
const LINGER_MS = 2000;

/** The channels somebody here wants, or wanted a moment ago. */
export class Interest implements Iterable<string> {
  readonly #wanted: Set<string> = new Set();
  /** Channels nobody wants any more, and until when they are kept. */
  readonly #lingering: Map<string, number> = new Map();
  readonly #left: (channel: string) => void;
  #sweeper: NodeJS.Timeout | null = null;

  /** `left`: nobody has wanted the channel for a while. */
  constructor(left: (channel: string) => void) {
    this.#left = left;
  }

  add(channel: string): void {
    this.#lingering.delete(channel);
    this.#wanted.add(channel);
  }

  /** The channel is not needed any more; it is left after a while, unless somebody wants it again. */
  release(channel: string): void {
    if (!this.#wanted.has(channel) || this.#lingering.has(channel)) return;
    this.#lingering.set(channel, performance.now() + LINGER_MS * (1 + Math.random()));
    this.#sweeper ??= setInterval(() => this.#sweep(), LINGER_MS / 2).unref();
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#wanted.values();
  }

  stop(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
    this.#wanted.clear();
    this.#lingering.clear();
  }

  #sweep(): void {
    const now = performance.now();
    for (const [channel, until] of this.#lingering) {
      if (until > now) continue;
      this.#lingering.delete(channel);
      this.#wanted.delete(channel);
      this.#left(channel);
    }
  }
}
