/** How many rooms that a user has left are remembered, for changes that come too late. */
const REMEMBERED = 64;

/**
 * The rooms a user is in as a user, as far as one instance knows. Changes come from several instances and may
 * cross each other on the way; each has a version, and one that is older than what is known changes nothing.
 */
export class UserRooms {
  readonly #joined: Map<string, number> = new Map();
  /** Rooms the user has left, and when; the oldest first. */
  readonly #left: Map<string, number> = new Map();

  /** The rooms the user is in. */
  get rooms(): Iterable<string> {
    return this.#joined.keys();
  }

  /** Those of them that were joined when nobody could give that a version: the cluster does not know. */
  get unknown(): readonly string[] {
    return [...this.#joined].flatMap(([room, version]) => (version === 0 ? [room] : []));
  }

  /**
   * Takes note of a change; `version` is 0 where nobody could give it one. Whether it is the latest that is
   * known of that room.
   */
  note(room: string, joined: boolean, version: number): boolean {
    const known = this.#joined.get(room) ?? this.#left.get(room) ?? 0;
    if (version !== 0 && version < known) return false;
    this.#joined.delete(room);
    this.#left.delete(room);
    (joined ? this.#joined : this.#left).set(room, Math.max(known, version));
    for (const [oldest] of this.#left) {
      if (this.#left.size <= REMEMBERED) break;
      this.#left.delete(oldest);
    }
    return true;
  }
}
