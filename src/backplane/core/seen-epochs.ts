import type { Origin } from "./wire.ts";

/** For each sender: the highest epoch that was seen of it, by bucket. */
export class SeenEpochs {
  readonly #seen: Map<string, number[]> = new Map();

  /** Whether no newer epoch of the sender was seen there; takes note of this one. */
  isCurrent({ incarnation, epoch }: Origin, bucket: number): boolean {
    const seen = this.#seen.get(incarnation);
    if (seen === undefined) {
      const first: number[] = [];
      first[bucket] = epoch;
      this.#seen.set(incarnation, first);
      return true;
    }
    if (epoch < (seen[bucket] ?? 0)) return false;
    seen[bucket] = epoch;
    return true;
  }
}
