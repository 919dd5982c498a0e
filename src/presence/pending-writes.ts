/**
 * The writes about users in places that are under way. Each waits for the one before it about the same user and
 * place; who reads about one waits for it, who reads a list waits for all that had begun by then.
 */
export class PendingWrites {
  /** user and place → the last write */
  readonly #last: Map<string, Promise<void>> = new Map();
  /** How many have begun; each has a number. */
  #begun = 0;
  /** All with lower numbers are done. */
  #floor = 0;
  /** Those with higher numbers that are done too. */
  readonly #done: Set<number> = new Set();
  /** Those who wait until the floor is as high as this; the lowest first. */
  readonly #waiting: { readonly floor: number; readonly resolve: () => void }[] = [];

  /** Begins a write, handing it the one it has to wait for. It MUST NOT reject. */
  add(
    place: string,
    user: string,
    write: (before: Promise<void> | undefined) => Promise<void>,
  ): Promise<void> {
    const key = `${user}\n${place}`;
    const number = this.#begun++;
    const done = write(this.#last.get(key)).then(() => {
      if (this.#last.get(key) === done) this.#last.delete(key);
      this.#ended(number);
    });
    this.#last.set(key, done);
    return done;
  }

  /** Resolves when the writes about a user in a place are done. */
  about(place: string, user: string): Promise<void> {
    return this.#last.get(`${user}\n${place}`) ?? DONE;
  }

  /** Resolves when all that have begun are done. */
  all(): Promise<void> {
    if (this.#floor === this.#begun) return DONE;
    const floor = this.#begun;
    return new Promise((resolve) => void this.#waiting.push({ floor, resolve }));
  }

  #ended(number: number): void {
    if (number !== this.#floor) {
      this.#done.add(number);
      return;
    }
    this.#floor++;
    while (this.#done.delete(this.#floor)) this.#floor++;
    while ((this.#waiting[0]?.floor ?? Number.POSITIVE_INFINITY) <= this.#floor) {
      this.#waiting.shift()?.resolve();
    }
  }
}

const DONE: Promise<void> = Promise.resolve();
