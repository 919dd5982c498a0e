/** Which rooms the application wants to be in. Each of its parts counts for itself. */
export class Rooms {
  readonly #counts: Map<string, number> = new Map();

  /** In the order in which they were joined. */
  get wanted(): readonly string[] {
    return [...this.#counts.keys()];
  }

  has(room: string): boolean {
    return this.#counts.has(room);
  }

  /**
   * One more wants to be in it, or one less. Whether the first came or the last went, or there was none to go.
   *
   * @throws TypeError if it is not the name of a room.
   */
  change(room: string, by: 1 | -1): boolean {
    if (typeof room !== "string" || !room) throw new TypeError("room must be the name of a room.");
    const count = (this.#counts.get(room) ?? 0) + by;
    if (count > 0) this.#counts.set(room, count);
    else this.#counts.delete(room);
    return count <= 0 || count === by;
  }
}
