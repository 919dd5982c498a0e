import { Counters } from "../meters/counters.ts";
import type { Frame } from "../protocol/frame.ts";
import type { Recipient } from "./recipient.ts";
import { Sequence } from "./sequence.ts";

/** When a flush has run this long, the rest waits for the next turn of the event loop. */
const FLUSH_BUDGET_MS = 4;
/** The clock is read once for this many writes (about 10 µs each). */
const WRITES_BETWEEN_LOOKS = 16;
/** A tree with more nodes is flushed before the turn ends, so that its memory is bounded. */
const MAX_NODES = 100_000;

/** A message in the forms connections take it in: the same `Frame` each time for the same form. */
export interface Framed {
  /** For those whose `enveloped` is this. */
  frame(enveloped: boolean): Frame;
  /** What an excepted connection gets in its place; null: nothing. */
  instead(enveloped: boolean): Frame | null;
}

/** The event loop, as far as `FanOut` needs it. */
export interface EventLoop {
  /** Calls `flush` once, after the events of this turn. */
  schedule(flush: () => void): void;
  /** A monotonic clock in milliseconds. */
  now(): number;
}

/** That of Node: a flush follows the reads of each turn. */
const NODE: EventLoop = {
  schedule: (flush) => void setImmediate(flush),
  now: () => performance.now(),
};

/**
 * Delivers frames to connections. Sending does not write: it appends to each connection's pending
 * sequence, and one flush per event-loop turn writes each connection once. So a busy turn costs one
 * write per connection however many messages it carried, and an idle server adds no delay.
 */
export class FanOut {
  readonly counters: Counters;
  readonly #loop: EventLoop;
  #root: Sequence = Sequence.empty();
  #nodes = 0;
  /** Connections with something pending, in the order they became so; those before `#next` were written. */
  #dirty: Recipient[] = [];
  #next = 0;
  #scheduled = false;
  /** When the oldest of what is owed was queued. */
  #owedSince = 0;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.#flushFor(FLUSH_BUDGET_MS);
  };

  constructor(counters: Counters = new Counters(), loop: EventLoop = NODE) {
    this.counters = counters;
    this.#loop = loop;
  }

  /** Appends `frame` to what one connection is owed. */
  deliver(frame: Frame, to: Recipient): void {
    this.#append(frame, to);
    this.#schedule();
  }

  /**
   * Appends a message to what each of `members` is owed, and takes it from those `except` again, and from
   * those `waiting`, who get nothing in its place. Both must be among the members: they share the bytes of
   * the others around a hole.
   */
  deliverAll(
    message: Framed,
    members: readonly Recipient[],
    except: readonly Recipient[],
    waiting: readonly Recipient[],
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
        to = this.#append(message.frame(enveloped), member);
      }
    }
    for (const member of except) cut(member, message.instead(member.enveloped));
    for (const member of waiting) cut(member, null);
    this.#schedule();
  }

  #append(frame: Frame, recipient: Recipient): Sequence {
    let from = recipient.pending;
    if (from === null) {
      from = this.#root;
      if (this.#dirty.length === 0) this.#owedSince = this.#loop.now();
      this.#dirty.push(recipient);
    }
    let to = from.find(frame);
    if (to === undefined) {
      to = from.grow(frame);
      this.#nodes++;
      this.counters.bytesLaidOut += frame.bytes.length;
    }
    recipient.pending = to;
    return to;
  }

  #schedule(): void {
    if (this.#nodes > MAX_NODES) this.#flushFor(Number.POSITIVE_INFINITY);
    if (this.#scheduled || this.#dirty.length === 0) return;
    this.#scheduled = true;
    this.#loop.schedule(this.#flush);
  }

  /** Writes what is owed for `budgetMs`; what is left comes first in the next turn. */
  #flushFor(budgetMs: number): void {
    // Those written from here on start a new tree; those still waiting go on growing the old one.
    this.#root = Sequence.empty();
    this.#nodes = 0;
    const deadline = this.#loop.now() + budgetMs;
    for (let written = 0; this.#next < this.#dirty.length; ) {
      if (written > 0 && written % WRITES_BETWEEN_LOOKS === 0 && this.#loop.now() >= deadline)
        break;
      written++;
      this.#dirty[this.#next++]?.flush();
    }
    // A turn that was flushed before it ended has nothing left.
    if (this.#next > 0 && this.#next === this.#dirty.length) {
      this.counters.fanOutSeconds.observe((this.#loop.now() - this.#owedSince) / 1000);
    }
    // Cut off when they are half of the list, so that each is copied once, however long the list is.
    if (this.#next * 2 >= this.#dirty.length) {
      this.#dirty = this.#dirty.slice(this.#next);
      this.#next = 0;
    }
    this.#schedule();
  }
}

function cut(recipient: Recipient, instead: Frame | null): void {
  if (recipient.pending === null) return;
  recipient.holes ??= [];
  recipient.holes.push({ at: recipient.pending, instead });
}
