import type { HistoryEntry } from "../backplane/contract/history-store.ts";

/**
 * What an entry takes besides its payload, in bytes: the objects, its positions, and the heads of its frames.
 */
const ENTRY_BYTES = 1024;
/** An entry's payload lies here as it came, and in the frames that members were sent. */
const FORMS = 3;

/**
 * The newest entries of one log, bounded in number and bytes of payload. What clients missed for a short while is
 * answered from here, as far as each entry names the one before it; entries from before a gap are kept only to
 * be recognised.
 */
export class Ring {
  readonly #maxEntries: number;
  readonly #maxPayload: number;
  #entries: HistoryEntry[] = [];
  /** Entries before this index were dropped; they are cut off when they are an eighth of the array. */
  #first = 0;
  /** Position → its index in `#entries`, counted from the first entry there ever was. */
  #places: Map<string, number> = new Map();
  #dropped = 0;
  /** The first entry after the last gap, counted so too. */
  #chain = 0;
  #payload = 0;

  constructor(maxEntries: number, maxPayload: number) {
    this.#maxEntries = maxEntries;
    this.#maxPayload = maxPayload;
  }

  /** What it takes of memory. */
  get bytes(): number {
    return FORMS * this.#payload + ENTRY_BYTES * this.length;
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
  push(entry: HistoryEntry): void {
    this.#places.set(entry.id, this.#dropped + this.#entries.length);
    this.#entries.push(entry);
    this.#payload += entry.message.data.length;
    while (this.#isFull()) this.#dropOldest();
  }

  /** Everything after a position, oldest first; null if the ring does not reach back so far. */
  after(position: string): readonly HistoryEntry[] | null {
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
    this.#payload = 0;
    this.#places = new Map();
  }

  get #chainStart(): number {
    return Math.max(this.#first, this.#chain - this.#dropped);
  }

  /** One entry that alone is over the bound is kept until the next. */
  #isFull(): boolean {
    return this.length > this.#maxEntries || (this.#payload > this.#maxPayload && this.length > 1);
  }

  #dropOldest(): void {
    const oldest = this.#entries[this.#first++];
    if (oldest === undefined) return;
    this.#payload -= oldest.message.data.length;
    this.#places.delete(oldest.id);
    // Until then they take memory still, which nobody counts.
    if (this.#first * 8 <= this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#dropped += this.#first;
    this.#first = 0;
  }
}
