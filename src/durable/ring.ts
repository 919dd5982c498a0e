import type { Link } from "../protocol/roomcast-v1.ts";

/** What a ring keeps: a link of a log, and how large it is. */
export interface Linked extends Link {
  /** Bytes of payload. */
  readonly size: number;
}

/**
 * The newest entries of one log, bounded in number and bytes. What clients missed for a short while is
 * answered from here, as far as each entry names the one before it; entries from before a gap are kept only to
 * be recognised.
 */
export class Ring<T extends Linked> {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #entries: T[] = [];
  /** Entries before this index were dropped; they are cut off when they are half of the array. */
  #first = 0;
  /** Position → its index in `#entries`, counted from the first entry there ever was. */
  #places: Map<string, number> = new Map();
  #dropped = 0;
  /** The first entry after the last gap, counted so too. */
  #chain = 0;
  #bytes = 0;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** The position before the oldest entry that no gap follows; null: there is none. */
  get start(): string | null {
    return this.#entries[this.#chainStart]?.prev ?? null;
  }

  has(id: string): boolean {
    return this.#places.has(id);
  }

  /** What follows does not follow what is here. */
  cut(): void {
    this.#chain = this.#dropped + this.#entries.length;
  }

  /** Adds an entry whose predecessor is the newest one here, unless there is none or the ring was cut. */
  push(entry: T): void {
    this.#places.set(entry.id, this.#dropped + this.#entries.length);
    this.#entries.push(entry);
    this.#bytes += entry.size;
    while (this.#isFull()) this.#dropOldest();
  }

  /** Everything after a position, oldest first; null if the ring does not reach back so far. */
  after(position: string): readonly T[] | null {
    if (position === this.start) return this.#entries.slice(this.#chainStart);
    const place = this.#places.get(position);
    if (place === undefined || place < this.#chain) return null;
    return this.#entries.slice(place - this.#dropped + 1);
  }

  clear(): void {
    this.#entries = [];
    this.#first = 0;
    this.#dropped = 0;
    this.#chain = 0;
    this.#bytes = 0;
    this.#places = new Map();
  }

  get #chainStart(): number {
    return Math.max(this.#first, this.#chain - this.#dropped);
  }

  /** One entry that alone is over the bound is kept until the next. */
  #isFull(): boolean {
    return this.length > this.#maxEntries || (this.#bytes > this.#maxBytes && this.length > 1);
  }

  #dropOldest(): void {
    const oldest = this.#entries[this.#first++];
    if (oldest === undefined) return;
    this.#bytes -= oldest.size;
    this.#places.delete(oldest.id);
    if (this.#first * 2 <= this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#dropped += this.#first;
    this.#first = 0;
  }
}
