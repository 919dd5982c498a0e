/** How many rooms with history clients may make. */
export interface HistoryQuotaLimits {
  /** Of one user. */
  readonly perUser: number;
  readonly inAll: number;
  /** How long after the last message a room's history is forgotten, in milliseconds. */
  readonly ttlMs: number;
}

/**
 * Counts the rooms whose history clients of this process have begun. A room counts for whoever spoke in it first, until
 * its history is forgotten; others speak there at no cost. Pure: time is an argument, in milliseconds.
 */
export class HistoryQuota {
  readonly #limits: HistoryQuotaLimits;
  /** In the order of their last message. */
  readonly #rooms: Map<string, { readonly maker: string; readonly until: number }> = new Map();
  readonly #made: Map<string, number> = new Map();

  constructor(limits: HistoryQuotaLimits) {
    this.#limits = limits;
  }

  /** Whether what `user` says in `room` at `now` may be stored. */
  admits(user: string, room: string, now: number): boolean {
    this.#forget(now);
    const known = this.#rooms.get(room);
    const made = this.#made.get(user) ?? 0;
    if (known === undefined) {
      if (this.#rooms.size >= this.#limits.inAll || made >= this.#limits.perUser) return false;
      this.#made.set(user, made + 1);
    }
    this.#rooms.delete(room);
    this.#rooms.set(room, { maker: known?.maker ?? user, until: now + this.#limits.ttlMs });
    return true;
  }

  /** Those quiet longest are first. */
  #forget(now: number): void {
    for (const [room, { maker, until }] of this.#rooms) {
      if (until > now) return;
      this.#rooms.delete(room);
      const left = (this.#made.get(maker) ?? 0) - 1;
      if (left > 0) this.#made.set(maker, left);
      else this.#made.delete(maker);
    }
  }
}
