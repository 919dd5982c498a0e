/** Which rooms the application wants to be in. Each of its parts counts for itself. */
export class Rooms {
  /** A room that nobody wants any more stays, with 0, until it is dropped. */
  readonly #counts: Map<string, number> = new Map();

  /** In the order in which they were joined. */
  get wanted(): readonly string[] {
    return [...this.#counts.keys()];
  }

  /**
   * One more wants to be in it. Whether it is the first.
   *
   * @throws TypeError if it is not the name of a room.
   */
  join(room: string): boolean {
    if (typeof room !== "string" || !room) throw new TypeError("room must be a name.");
    const count = this.#counts.get(room);
    this.#counts.set(room, (count ?? 0) + 1);
    return count === undefined;
  }

  /**
   * One less wants to be in it; `isIn`: the client is in it, though nobody may have asked. Whether that was the last,
   * so that it is to be dropped unless somebody comes.
   */
  leave(room: string, isIn: boolean): boolean {
    const count = this.#counts.get(room) ?? (isIn ? 1 : 0);
    if (count > 0) this.#counts.set(room, count - 1);
    return count === 1;
  }

  /** Drops a room that nobody wants. False: somebody does, or it was dropped. */
  drop(room: string): boolean {
    return this.#counts.get(room) === 0 && this.#counts.delete(room);
  }
}
