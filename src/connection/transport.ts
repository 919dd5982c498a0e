import type { Hole, Sequence } from "../fanout/sequence.ts";

/** Whom a transport tells what comes and what becomes of it; a connection is such. None of these throws. */
export interface TransportOwner {
  /** The last moment at which frames may be written: a close frame is about to be sent. */
  closing(code: number, reason: string): void;
}

/**
 * What a connection's frames leave by. There are two: `NativeTransport`, over sockets that came through our own
 * upgrade, and `ForeignTransport`, over `ws` sockets that somebody else accepted. Nothing outside asks which.
 *
 * - No method may throw, whatever state the socket is in.
 * - Frames MUST leave whole and in the order of the calls; those of one `write` before those of the next.
 * - What waits for a reader MUST be bounded: `write` answers false instead of exceeding the bound.
 */
export interface Transport {
  /** Whether frames may be written: neither end has begun to close. */
  readonly isOpen: boolean;
  /** The client's address; undefined where the socket does not tell. */
  readonly remoteAddress: string | undefined;
  /** Bytes that were handed over and that the system has not taken yet. */
  readonly bufferedAmount: number;
  /** Whether a message from the client has begun and not ended. */
  readonly isReceiving: boolean;

  /**
   * Writes `sequence` without `holes`. False if the reader is so slow that more would exceed the bound: nothing
   * of it was kept then, and nothing but a close MUST follow.
   */
  write(sequence: Sequence, holes: readonly Hole[] | null): boolean;

  /** Lets this many bytes more be kept than the bound allows, until the reader has caught up. */
  grant(bytes: number): void;

  /**
   * Resolves when the system has taken everything that was written before, or the socket has ended. MUST
   * resolve also if the reader is slow but nothing is kept for it here.
   */
  drained(): Promise<void>;

  /** Hands everything kept back to the system: a close frame is to follow. */
  finish(): void;

  /** Drops everything kept back, and lets those go who wait for `drained`. */
  discard(): void;

  /** Stops reading, so that the client is held up. */
  pause(): void;
  resume(): void;

  /** Sends a close frame. MUST go on reading, so that the answer is read however long nobody has read before. */
  close(code: number, reason: string): void;

  /** Ends the connection without further words. MUST lead to the socket's `close` event in any state. */
  terminate(): void;

  /** Sends a ping that nobody waits for. */
  ping(): void;

  /** Pings; resolves to the time until the answer, in milliseconds. Rejects if the socket closes first. */
  roundTrip(): Promise<number>;
}
