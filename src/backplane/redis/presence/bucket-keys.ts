/**
 * The names of what is kept of users, rooms and connections that fall into one bucket; alone, all do. Names of
 * rooms and users hold no control characters and no braces, and incarnations no colon, so no two of these
 * are ever the same.
 */
export class BucketKeys {
  /** What publishes to a channel beside these keys. */
  readonly publishCommand: "PUBLISH" | "SPUBLISH";
  readonly #prefix: string;

  constructor(prefix: string, publishCommand: "PUBLISH" | "SPUBLISH") {
    this.#prefix = prefix;
    this.publishCommand = publishCommand;
  }

  /** See the graph of keys above the scripts. */
  get instances(): string {
    return `${this.#prefix}instances`;
  }

  get cluster(): string {
    return `${this.#prefix}cluster`;
  }

  get owners(): string {
    return `${this.#prefix}owners`;
  }

  get buried(): string {
    return `${this.#prefix}buried`;
  }

  get doubts(): string {
    return `${this.#prefix}doubts`;
  }

  get told(): string {
    return `${this.#prefix}told`;
  }

  get asUserChanges(): string {
    return `${this.#prefix}as-user-changes`;
  }

  records(incarnation: string): string {
    return `${this.#prefix}records:${incarnation}`;
  }

  present(place: string): string {
    return `${this.#prefix}present:${place}`;
  }

  connection(id: string): string {
    return `${this.#prefix}connection:${id}`;
  }

  seats(user: string): string {
    return `${this.#prefix}seats:${user}`;
  }

  asUser(user: string): string {
    return `${this.#prefix}as-user:${user}`;
  }

  /** The channel on which it is told who comes to a place and goes. */
  changes(place: string): string {
    return this.changesBase + place;
  }

  /** What `changes` begins with, for scripts. */
  get changesBase(): string {
    return `${this.#prefix}changes:`;
  }
}
