/** Why there is no seat: none at all, or none for this group. */
export type Seating = "taken" | "full" | "groupFull";

/**
 * Counts who is here, in all and by group (a client's address), from the moment they knock. null as a
 * bound: no limit; null as a group: counts in all only.
 */
export class Seats {
  readonly #max: number | null;
  readonly #maxPerGroup: number | null;
  readonly #groups: Map<string, number> = new Map();
  #taken = 0;

  constructor(max: number | null, maxPerGroup: number | null) {
    this.#max = max;
    this.#maxPerGroup = maxPerGroup;
  }

  /** Takes a seat if there is one; it MUST be freed once. */
  take(group: string | null): Seating {
    if (this.#max !== null && this.#taken >= this.#max) return "full";
    if (this.#maxPerGroup !== null && this.#inGroup(group) >= this.#maxPerGroup) return "groupFull";
    this.occupy(group);
    return "taken";
  }

  /** Takes a seat whether or not there is one. */
  occupy(group: string | null): void {
    this.#taken++;
    if (group !== null) this.#groups.set(group, this.#inGroup(group) + 1);
  }

  free(group: string | null): void {
    this.#taken--;
    if (group === null) return;
    const left = this.#inGroup(group) - 1;
    if (left > 0) this.#groups.set(group, left);
    else this.#groups.delete(group);
  }

  #inGroup(group: string | null): number {
    return group === null ? 0 : (this.#groups.get(group) ?? 0);
  }
}
