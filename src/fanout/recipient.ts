import type { Hole, Sequence } from "./sequence.ts";

/**
 * Somebody who is sent frames: what one connection is owed in this turn. `FanOut` moves it from node to
 * node; the subclass knows how bytes leave.
 */
export abstract class Recipient {
  /** Whether messages come to this connection in the envelopes of `roomcast.v1`. */
  readonly enveloped: boolean;
  /** The frames to be written at the next flush; null: nothing is owed. */
  pending: Sequence | null = null;
  /** Those of them this connection was excepted from, oldest first. */
  holes: Hole[] | null = null;

  constructor(enveloped: boolean) {
    this.enveloped = enveloped;
  }

  /**
   * Writes `sequence` without `holes`, or keeps it until the reader has caught up. MUST NOT send anything
   * itself. A connection that is no longer open drops it.
   */
  abstract write(sequence: Sequence, holes: readonly Hole[] | null): void;

  /** `write` threw: nothing is known of what the reader got. MUST NOT throw. */
  abstract writeFailed(error: unknown): void;

  /** Writes what is pending now instead of at the end of the turn, so that a close frame can follow. */
  flush(): void {
    const { pending, holes } = this;
    if (pending === null) return;
    this.pending = null;
    this.holes = null;
    try {
      this.write(pending, holes);
    } catch (error) {
      this.writeFailed(error);
    }
  }
}
