/** The writes about users in places that are under way, each after the one before it about the same. */
export class PendingWrites {
  /** place → user → the last write */
  readonly #byPlace: Map<string, Map<string, Promise<void>>> = new Map();
  /** user → places, the other way round */
  readonly #placesOf: Map<string, Set<string>> = new Map();

  /** Begins a write, handing it the one it has to wait for. It MUST NOT reject. */
  add(
    place: string,
    user: string,
    write: (before: Promise<void> | undefined) => Promise<void>,
  ): Promise<void> {
    const users = this.#byPlace.get(place) ?? new Map<string, Promise<void>>();
    const done = write(users.get(user)).then(() => {
      if (users.get(user) === done) this.#delete(place, user);
    });
    this.#byPlace.set(place, users.set(user, done));
    const places = this.#placesOf.get(user) ?? new Set<string>();
    this.#placesOf.set(user, places.add(place));
    return done;
  }

  /** Those about a place, or a user, or a user in a place; without either, all. */
  about(place: string | undefined, user: string | undefined): Promise<void>[] {
    const places = user === undefined ? this.#byPlace.keys() : (this.#placesOf.get(user) ?? []);
    const found: Promise<void>[] = [];
    for (const one of place === undefined ? places : [place]) {
      const users = this.#byPlace.get(one);
      const only = user === undefined ? undefined : users?.get(user);
      if (only !== undefined) found.push(only);
      else if (user === undefined) for (const write of users?.values() ?? []) found.push(write);
    }
    return found;
  }

  #delete(place: string, user: string): void {
    const users = this.#byPlace.get(place);
    users?.delete(user);
    if (users?.size === 0) this.#byPlace.delete(place);
    const places = this.#placesOf.get(user);
    places?.delete(place);
    if (places?.size === 0) this.#placesOf.delete(user);
  }
}
