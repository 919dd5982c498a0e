import type { Payload } from "../protocol/payload.ts";
import { formatPosition, isBefore, type Position } from "./position.ts";

/** One message as a log keeps it. */
export interface LogEntry {
  readonly id: string;
  readonly prev: string;
  readonly position: Position;
  readonly payload: Payload;
}

/**
 * The log of one durable room: bounded, each entry linked to the one before it. Pure: time and
 * randomness are arguments.
 */
export class RoomLog {
  #entries: LogEntry[] = [];
  /** Entries before this index were trimmed; they are cut off when they are half of the array. */
  #first = 0;
  #last: Position = { ms: 0, sequence: 0, nonce: "" };
  #lastId = "0";
  /** When the last entry was written, in milliseconds since the epoch. */
  writtenAt = 0;
  /** The size of all payloads in bytes. */
  bytes = 0;

  get length(): number {
    return this.#entries.length - this.#first;
  }

  append(payload: Payload, maxLength: number, now: number, nonce: string): LogEntry {
    // A clock that went back must not make a position smaller than the one before it.
    const ms = Math.max(now, this.#last.ms);
    const sequence = ms === this.#last.ms ? this.#last.sequence + 1 : 0;
    const position = { ms, sequence, nonce };
    const entry = { id: formatPosition(position), prev: this.#lastId, position, payload };
    this.#entries.push(entry);
    this.#last = position;
    this.#lastId = entry.id;
    this.writtenAt = now;
    this.bytes += payload.data.length;
    while (this.length > maxLength) this.#trimOne();
    return entry;
  }

  /** At most `limit` entries after `since`, oldest first. */
  after(since: Position, limit: number): readonly LogEntry[] {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && !isBefore(since, entry.position)) low = middle + 1;
      else high = middle;
    }
    return this.#entries.slice(low, low + limit);
  }

  #trimOne(): void {
    const trimmed = this.#entries[this.#first++];
    this.bytes -= trimmed?.payload.data.length ?? 0;
    if (this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
