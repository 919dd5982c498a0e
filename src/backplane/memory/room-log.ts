import {
  formatPosition,
  isBefore,
  type Position,
  parsePosition,
  START,
} from "../../protocol/position.ts";
import { BEGINNING } from "../../protocol/roomcast-v1.ts";

/** One message as a log keeps it. */
export interface LogEntry<T> {
  readonly id: string;
  readonly prev: string;
  readonly position: Position;
  readonly item: T;
  readonly bytes: number;
}

/** What an entry takes of memory besides its payload, in bytes; a test measures it. */
const ENTRY_BYTES = 1500;

/** What an entry takes of memory, in bytes: of blocks that were given back the system has a part still. */
export function memoryOf(payloadBytes: number): number {
  return ENTRY_BYTES + 2 * payloadBytes;
}

/** How much a log keeps. */
export interface LogBounds {
  /** Entries. */
  readonly maxLength: number;
  /** Bytes, with what entries take besides their payload. The newest entry is kept whatever its size. */
  readonly maxBytes: number;
}

/**
 * The log of one durable room: bounded, each entry linked to the one before it. Pure: time and
 * randomness are arguments.
 */
export class RoomLog<T> {
  #entries: LogEntry<T>[] = [];
  /** Entries before this index were trimmed; they are cut off when they are an eighth of the array. */
  #first = 0;
  #last: Position;
  #lastId: string;
  /** When the last entry was written, in milliseconds since the epoch. */
  writtenAt = 0;
  /** What all entries take of memory, in bytes. */
  bytes = 0;

  /** `end`: the position of the newest entry of the log that this one goes on. */
  constructor(end: string = BEGINNING) {
    this.#lastId = end;
    this.#last = parsePosition(end) ?? START;
  }

  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** The position of the newest entry. */
  get end(): string {
    return this.#lastId;
  }

  /** `bytes`: the size of the item's payload. */
  append(item: T, bytes: number, bounds: LogBounds, now: number, nonce: string): LogEntry<T> {
    // A clock that went back must not make a position smaller than the one before it.
    const ms = Math.max(now, this.#last.ms);
    const sequence = ms === this.#last.ms ? this.#last.sequence + 1 : 0;
    const position = { ms, sequence, nonce };
    const entry = { id: formatPosition(position), prev: this.#lastId, position, item, bytes };
    this.#entries.push(entry);
    this.#last = position;
    this.#lastId = entry.id;
    this.writtenAt = now;
    this.bytes += memoryOf(bytes);
    while (this.length > bounds.maxLength) this.#trimOne();
    this.trimTo(bounds.maxBytes);
    return entry;
  }

  /** Forgets the oldest entries until the others take at most so many bytes; the newest stays. */
  trimTo(maxBytes: number): void {
    while (this.bytes > maxBytes && this.length > 1) this.#trimOne();
  }

  /** At most `limit` entries after `since`, oldest first, and no more once they have `maxBytes`. */
  after(
    since: Position,
    limit: number,
    maxBytes: number = Number.POSITIVE_INFINITY,
  ): readonly LogEntry<T>[] {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && !isBefore(since, entry.position)) low = middle + 1;
      else high = middle;
    }
    let to = low;
    for (let bytes = 0; to < this.#entries.length && to < low + limit && bytes < maxBytes; to++) {
      bytes += this.#entries[to]?.bytes ?? 0;
    }
    return this.#entries.slice(low, to);
  }

  /** The newest entries, oldest first: at most `limit`, and no more once they have `maxBytes`. */
  tail(limit: number, maxBytes: number): readonly LogEntry<T>[] {
    let from = this.#entries.length;
    let bytes = 0;
    while (from > this.#first && this.#entries.length - from < limit && bytes < maxBytes) {
      from--;
      bytes += this.#entries[from]?.bytes ?? 0;
    }
    return this.#entries.slice(from);
  }

  #trimOne(): void {
    const trimmed = this.#entries[this.#first++];
    if (trimmed !== undefined) this.bytes -= memoryOf(trimmed.bytes);
    // Until then they take memory still, which nobody counts.
    if (this.#first * 8 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
