import { cutHoles, type Hole, type Sequence } from "../fanout/sequence.ts";

/** How the frames of a connection leave this process. */
export interface Writer {
  /** Bytes that were handed over and that the system has not taken yet. */
  readonly bufferedAmount: number;

  /**
   * Writes `sequence` without `holes`. False if the reader is so slow that more would exceed the bound;
   * nothing was kept then. MUST NOT throw.
   */
  write(sequence: Sequence, holes: readonly Hole[] | null): boolean;

  /** Lets this many bytes more be kept than the bound allows, until the reader has caught up. */
  grant(bytes: number): void;

  /** Hands everything kept back to the system: it has caught up, or a close frame is to follow. */
  finish(): void;

  /** Drops everything kept back. */
  discard(): void;
}

/** The stream a connection's bytes go to; Node's sockets are such. */
export interface ByteStream {
  readonly writable: boolean;
  readonly writableNeedDrain: boolean;
  readonly writableLength: number;
  write(bytes: Uint8Array): boolean;
  cork(): void;
  uncork(): void;
}

/**
 * Writes frames to the socket itself. While the socket needs draining nothing is written to it: the
 * shared buffers are kept by reference, so many slow readers of one room hold one copy of what they
 * have not read.
 */
export class StreamWriter implements Writer {
  readonly #stream: ByteStream;
  readonly #maxBufferedBytes: number;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #granted = 0;

  constructor(stream: ByteStream, maxBufferedBytes: number) {
    this.#stream = stream;
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  get bufferedAmount(): number {
    return this.#keptBytes + this.#stream.writableLength;
  }

  write(sequence: Sequence, holes: readonly Hole[] | null): boolean {
    const pieces = holes === null ? sequence.runs : cutHoles(sequence, holes);
    if (pieces.length === 0) return true;
    if (!this.#stream.writableNeedDrain) {
      this.#hand(pieces);
      if (this.#stream.writableLength === 0) this.#granted = 0;
      return true;
    }
    // What is being sent in this turn does not count: only a backlog makes a reader slow.
    if (this.bufferedAmount > this.#maxBufferedBytes + this.#granted) return false;
    for (const piece of pieces) {
      this.#kept.push(piece);
      this.#keptBytes += piece.length;
    }
    return true;
  }

  grant(bytes: number): void {
    this.#granted += bytes;
  }

  finish(): void {
    if (this.#kept.length === 0) {
      this.#granted = 0;
      return;
    }
    const kept = this.#kept;
    this.discard();
    this.#hand(kept);
  }

  discard(): void {
    this.#kept = [];
    this.#keptBytes = 0;
  }

  #hand(pieces: readonly Uint8Array[]): void {
    if (!this.#stream.writable) return;
    const only = pieces.length === 1 ? pieces[0] : undefined;
    if (only !== undefined) {
      this.#stream.write(only);
      return;
    }
    this.#stream.cork();
    for (const piece of pieces) this.#stream.write(piece);
    this.#stream.uncork();
  }
}
