import type { Frame } from "../protocol/frame.ts";
import type { Outbox } from "./outbox.ts";
import { Sequence } from "./sequence.ts";

/** When a flush has run this long, the rest waits for the next turn of the event loop. */
const FLUSH_BUDGET_MS = 4;
/** The clock is read once for this many writes (about 10 µs each). */
const WRITES_BETWEEN_LOOKS = 16;
/** A tree with more nodes is flushed before the turn ends, so that its memory is bounded. */
const MAX_NODES = 100_000;

/** A message in the forms connections take it in; the same object each time for the same form. */
export interface Forms {
  /** For those whose `enveloped` is this. */
  frame(enveloped: boolean): Frame;
  /** What an excepted connection gets in its place; null: nothing. */
  instead(enveloped: boolean): Frame | null;
}

/** What `FanOut` needs from the world. */
export interface Turn {
  /** Calls `flush` once, after the events of this turn of the event loop. */
  schedule(flush: () => void): void;
  /** A monotonic clock in milliseconds. */
  now(): number;
}

/** The event loop of Node: a flush follows the reads of each turn. */
const EVENT_LOOP: Turn = {
  schedule: (flush) => void setImmediate(flush),
  now: () => performance.now(),
};

/**
 * Delivers frames to connections. Sending does not write: it appends to each connection's pending
 * sequence, and one flush per event-loop turn writes each connection once. So a busy turn costs one
 * write per connection however many messages it carried, and an idle server adds no delay.
 */
export class FanOut {
  readonly #turn: Turn;
  #root: Sequence = Sequence.empty();
  #nodes = 0;
  /** Connections with something pending, in the order they became so. */
  #dirty: Outbox[] = [];
  #scheduled = false;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.#flushFor(FLUSH_BUDGET_MS);
  };

  constructor(turn: Turn = EVENT_LOOP) {
    this.#turn = turn;
  }

  /** Appends `frame` to what one connection is owed. */
  deliver(frame: Frame, to: Outbox): void {
    this.#append(frame, to);
    this.#schedule();
  }

  /**
   * Appends a message to what each of `members` is owed, and takes it from those `except` again, and from
   * those `waiting`, who get nothing in its place. Both must be among the members: they share the bytes of
   * the others around a hole.
   */
  deliverAll(
    forms: Forms,
    members: readonly Outbox[],
    except: readonly Outbox[],
    waiting: readonly Outbox[],
  ): void {
    // The hot loop: connections mostly stand together, so the last step taken is mostly the next.
    let from: Sequence | null = null;
    let to: Sequence | null = null;
    let enveloped = false;
    for (const member of members) {
      if (member.pending === from && from !== null && member.enveloped === enveloped) {
        member.pending = to;
      } else {
        from = member.pending;
        enveloped = member.enveloped;
        to = this.#append(forms.frame(enveloped), member);
      }
    }
    for (const member of except) cut(member, forms.instead(member.enveloped));
    for (const member of waiting) cut(member, null);
    this.#schedule();
  }

  #append(frame: Frame, outbox: Outbox): Sequence {
    let from = outbox.pending;
    if (from === null) {
      from = this.#root;
      this.#dirty.push(outbox);
    }
    let to = from.find(frame);
    if (to === undefined) {
      to = from.grow(frame);
      this.#nodes++;
    }
    outbox.pending = to;
    return to;
  }

  #schedule(): void {
    if (this.#nodes > MAX_NODES) this.#flushFor(Number.POSITIVE_INFINITY);
    if (this.#scheduled || this.#dirty.length === 0) return;
    this.#scheduled = true;
    this.#turn.schedule(this.#flush);
  }

  /** Writes what is owed for `budgetMs`; what is left comes first in the next turn. */
  #flushFor(budgetMs: number): void {
    // Those written from here on start a new tree; those still waiting go on growing the old one.
    this.#root = Sequence.empty();
    this.#nodes = 0;
    const deadline = this.#turn.now() + budgetMs;
    const dirty = this.#dirty;
    let written = 0;
    for (const outbox of dirty) {
      outbox.flush();
      written++;
      if (written % WRITES_BETWEEN_LOOKS === 0 && this.#turn.now() >= deadline) break;
    }
    this.#dirty = dirty.slice(written);
    this.#schedule();
  }
}

function cut(outbox: Outbox, instead: Frame | null): void {
  if (outbox.pending === null) return;
  outbox.holes ??= [];
  outbox.holes.push({ at: outbox.pending, instead });
}
