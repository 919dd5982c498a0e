import type { Frame } from "../protocol/frame.ts";

/** Where a run of joined frames ends and the next begins; a larger frame is a run of its own. */
const MAX_RUN_BYTES = 64 * 1024;

/**
 * The frames a connection is owed, as a node in a tree that lives for one flush. Connections that were
 * sent the same frames in the same order stand on the same node and so write the same bytes, which
 * are joined once. Delivering a frame to a connection is moving it to a child node.
 *
 * Frames are joined into runs of at most 64 KiB, so that bytes which many long sequences begin with
 * are shared too, and so that a large frame is never copied.
 */
export class Sequence {
  /** The last node of the run before this one. */
  readonly #previous: Sequence | null;
  /** The node of the frame before this one in the same run. */
  readonly #parent: Sequence | null;
  /** The newest frame; null only at the root, where nothing is owed yet. */
  readonly frame: Frame | null;
  /** The place of this run among those of the sequence. */
  readonly run: number;
  /** Where the newest frame ends in its run, in bytes. */
  readonly end: number;
  /** All its frames, in bytes. */
  readonly length: number;

  // Most nodes have one child; it is kept inline, the others in a map.
  #nextFrame: Frame | null = null;
  #next: Sequence | null = null;
  #branches: Map<Frame, Sequence> | null = null;

  #bytes: Buffer | null = null;
  #runs: readonly Buffer[] | null = null;

  private constructor(
    previous: Sequence | null,
    parent: Sequence | null,
    frame: Frame | null,
    run: number,
    end: number,
  ) {
    this.#previous = previous;
    this.#parent = parent;
    this.frame = frame;
    this.run = run;
    this.end = end;
    this.length = end + (previous?.length ?? 0);
  }

  /** The root of a new tree. */
  static empty(): Sequence {
    return new Sequence(null, null, null, 0, 0);
  }

  /** Where the newest frame begins in its run, in bytes. */
  get start(): number {
    return this.frame === null ? 0 : this.end - this.frame.bytes.length;
  }

  /** The sequence that has `frame` after this one, if some connection has already gone there. */
  find(frame: Frame): Sequence | undefined {
    if (this.#nextFrame === frame && this.#next !== null) return this.#next;
    return this.#branches?.get(frame);
  }

  /** Makes the sequence that has `frame` after this one. `find` must have found none. */
  grow(frame: Frame): Sequence {
    const child = this.#after(frame);
    if (this.#next === null) {
      this.#nextFrame = frame;
      this.#next = child;
    } else {
      this.#branches ??= new Map();
      this.#branches.set(frame, child);
    }
    return child;
  }

  /** All bytes of the sequence, run by run. Made once and shared: not to be changed. */
  get runs(): readonly Buffer[] {
    if (this.#runs === null) {
      const before = this.#previous?.runs ?? [];
      this.#runs = this.frame === null ? before : [...before, this.#joined()];
    }
    return this.#runs;
  }

  /** The nodes of the sequence, one for each frame, oldest first. */
  nodes(): Sequence[] {
    const nodes: Sequence[] = [];
    for (let node: Sequence | null = this; node !== null; node = node.#parent ?? node.#previous) {
      if (node.frame !== null) nodes.push(node);
    }
    return nodes.reverse();
  }

  #after(frame: Frame): Sequence {
    const length = frame.bytes.length;
    if (this.frame === null) return new Sequence(null, null, frame, 0, length);
    if (this.end + length <= MAX_RUN_BYTES) {
      return new Sequence(this.#previous, this, frame, this.run, this.end + length);
    }
    return new Sequence(this, null, frame, this.run + 1, length);
  }

  /** The bytes of this run up to the newest frame. A run of one frame is that frame, not a copy. */
  #joined(): Buffer {
    if (this.#bytes === null) {
      this.#bytes = this.#parent === null ? frameBytes(this) : Buffer.allocUnsafe(this.end);
      let node: Sequence | null = this.#parent === null ? null : this;
      while (node !== null) {
        if (node !== this && node.#bytes !== null) {
          this.#bytes.set(node.#bytes);
          break;
        }
        this.#bytes.set(frameBytes(node), node.start);
        node = node.#parent;
      }
    }
    return this.#bytes;
  }
}

/** A frame of a sequence that one connection does not get. */
export interface Hole {
  /** The node of that frame, on the way to the connection's own. */
  readonly at: Sequence;
  /** What it gets in its place; null: nothing. */
  readonly instead: Frame | null;
}

/**
 * The bytes of `sequence` without the frames at `holes`, oldest first. What a connection writes that was
 * excepted from some messages of a turn: it shares everything else with those who were not.
 */
export function cutHoles(sequence: Sequence, holes: readonly Hole[]): Buffer[] {
  const pieces: Buffer[] = [];
  let next = 0;
  for (const [run, bytes] of sequence.runs.entries()) {
    let from = 0;
    for (let hole = holes[next]; hole?.at.run === run; hole = holes[++next]) {
      if (hole.at.start > from) pieces.push(bytes.subarray(from, hole.at.start));
      if (hole.instead !== null) pieces.push(hole.instead.bytes);
      from = hole.at.end;
    }
    if (from < bytes.length) pieces.push(from === 0 ? bytes : bytes.subarray(from));
  }
  return pieces;
}

/** How many bytes of `sequence` are written to somebody who has these `holes`. */
export function lengthOf(sequence: Sequence, holes: readonly Hole[] | null): number {
  let length = sequence.length;
  for (const { at, instead } of holes ?? NONE) {
    length += (instead?.bytes.length ?? 0) - (at.end - at.start);
  }
  return length;
}

const NONE: readonly Hole[] = [];

function frameBytes(node: Sequence): Buffer {
  return node.frame === null ? Buffer.alloc(0) : node.frame.bytes;
}
