/** What an entry takes besides its text, in bytes. */
const ENTRY_BYTES = 300;
/** All values of one kind together take at most this much memory; those set longest ago go first. */
const MAX_BYTES = 64 * 1024 * 1024;

interface Entry {
  readonly value: string;
  readonly until: number;
}

/** Texts that are forgotten after a time of their own, or sooner if there are too many. */
export class Expiring {
  readonly #entries: Map<string, Entry> = new Map();
  readonly #maxBytes: number;
  #bytes = 0;

  /** `maxBytes`: of memory. */
  constructor(maxBytes: number = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** What it takes of memory, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): string | undefined {
    const found = this.#entries.get(key);
    if (found === undefined || found.until <= Date.now()) return undefined;
    return found.value;
  }

  set(key: string, value: string, forMs: number): void {
    const now = Date.now();
    this.delete(key);
    this.#entries.set(key, { value, until: now + forMs });
    this.#bytes += sizeOf(key, value);
    // Those set longest ago are first; most have the same time to live.
    for (const [oldest, { until }] of this.#entries) {
      if (until > now && this.#bytes <= this.#maxBytes) return;
      if (oldest !== key) this.delete(oldest);
    }
  }

  delete(key: string): void {
    const found = this.#entries.get(key);
    if (found === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(key, found.value);
  }
}

/** Texts take two bytes for each unit at most. */
function sizeOf(key: string, value: string): number {
  return ENTRY_BYTES + 2 * (key.length + value.length);
}
