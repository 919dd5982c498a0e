import type { Reservation, UserLimit } from "../contract/presence-store.ts";

const REFUSED: Reservation = { granted: false, replaced: [] };

/** The places users hold, oldest first: for each, the connection that sits there and its instance. */
export class Reservations {
  readonly #byUser: Map<string, Map<string, string>> = new Map();

  /** Takes a place; one that the connection holds already is renewed. */
  reserve(user: string, connection: string, instance: string, limit: UserLimit): Reservation {
    const places = this.#byUser.get(user) ?? new Map<string, string>();
    places.delete(connection);
    if (places.size >= limit.max && limit.whenFull === "reject") return REFUSED;
    const replaced = [...places.keys()].slice(0, Math.max(0, places.size + 1 - limit.max));
    for (const oldest of replaced) places.delete(oldest);
    places.set(connection, instance);
    this.#byUser.set(user, places);
    return { granted: true, replaced };
  }

  /** Gives a place back, if it is this instance's. */
  release(user: string, connection: string, instance: string): void {
    const places = this.#byUser.get(user);
    if (places?.get(connection) !== instance) return;
    places.delete(connection);
    if (places.size === 0) this.#byUser.delete(user);
  }

  holds(user: string, connection: string): boolean {
    return this.#byUser.get(user)?.has(connection) ?? false;
  }

  /** Every place, those of a user oldest first. */
  *entries(): Generator<{ readonly user: string; readonly connection: string }> {
    for (const [user, places] of this.#byUser) {
      for (const connection of places.keys()) yield { user, connection };
    }
  }

  /** Gives back all places of an instance. */
  releaseAll(instance: string): void {
    for (const [user, places] of this.#byUser) {
      for (const [connection, holder] of places) {
        if (holder === instance) places.delete(connection);
      }
      if (places.size === 0) this.#byUser.delete(user);
    }
  }
}
