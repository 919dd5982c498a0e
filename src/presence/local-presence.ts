/** What a change here means for the cluster. */
export type Change = "none" | "came" | "went";

/**
 * How many connections of a user this instance holds in a place (a room, or online), and which places
 * it still vouches for after the last one dropped. Decides when the cluster must be told: only on the
 * way from none to one and back, and not while a dropped user is given time to return.
 *
 * Pure: time is an argument, in milliseconds.
 */
export class LocalPresence {
  readonly #graceMs: number;
  readonly #counts: Map<string, Map<string, number>> = new Map();
  /** place → user → when the grace ends; the order is that of the end, since all graces are as long. */
  readonly #held: Map<string, Hold> = new Map();

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** A connection of `user` came to `place`. */
  add(place: string, user: string): Change {
    const users = this.#counts.get(place);
    const count = users?.get(user) ?? 0;
    if (users === undefined) this.#counts.set(place, new Map([[user, 1]]));
    else users.set(user, count + 1);
    if (count > 0) return "none";
    const wasHeld = this.#held.size > 0 && this.#held.delete(holdKey(place, user));
    return wasHeld ? "none" : "came";
  }

  /** A connection of `user` left `place`: on purpose, or `dropped` and perhaps about to return. */
  remove(place: string, user: string, dropped: boolean, now: number): Change {
    const users = this.#counts.get(place);
    const count = users?.get(user) ?? 0;
    if (users === undefined || count === 0) return "none";
    if (count > 1) {
      users.set(user, count - 1);
      return "none";
    }
    users.delete(user);
    if (users.size === 0) this.#counts.delete(place);
    if (!dropped || this.#graceMs === 0) return "went";
    this.#held.set(holdKey(place, user), { place, user, until: now + this.#graceMs });
    return "none";
  }

  /** Ends the grace of `user` in `place`. Whether there was one. */
  forget(place: string, user: string): boolean {
    return this.#held.delete(holdKey(place, user));
  }

  /** The places where `user` is only held. */
  heldBy(user: string): string[] {
    return [...this.#held.values()].filter((hold) => hold.user === user).map(({ place }) => place);
  }

  /** Those who are only held. */
  get holds(): Iterable<Hold> {
    return this.#held.values();
  }

  /** Takes out those whose grace is over. */
  takeExpired(now: number): Hold[] {
    const expired: Hold[] = [];
    for (const [key, hold] of this.#held) {
      if (hold.until > now) break;
      this.#held.delete(key);
      expired.push(hold);
    }
    return expired;
  }

  /** When the next grace ends; null if there is none. */
  get nextExpiry(): number | null {
    for (const hold of this.#held.values()) return hold.until;
    return null;
  }

  /** How many connections of the user are in the place. */
  count(place: string, user: string): number {
    return this.#counts.get(place)?.get(user) ?? 0;
  }

  /** Every user in every place, held ones too. */
  *entries(): Generator<{ readonly place: string; readonly user: string }> {
    for (const [place, users] of this.#counts) {
      for (const user of users.keys()) yield { place, user };
    }
    for (const { place, user } of this.#held.values()) yield { place, user };
  }

  clear(): void {
    this.#counts.clear();
    this.#held.clear();
  }
}

export interface Hold {
  readonly place: string;
  readonly user: string;
  readonly until: number;
}

/** Names hold no control characters, so no two pairs give the same key. */
function holdKey(place: string, user: string): string {
  return `${place}\n${user}`;
}
