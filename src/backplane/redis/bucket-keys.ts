/**
 * Where members come and go: everyone online (members: users), a room (users), or the rooms of a user
 * (rooms), which is the same the other way round. Each instance writes members of its own.
 */
export interface Place {
  readonly name: string;
  /** Set of the incarnations that hold members. */
  readonly holders: string;
  /** Set of the members, whoever holds them; only where coming and going is told. */
  readonly present: string;
  /** Whether coming and going is told. */
  readonly watched: boolean;
}

/** The place of everyone online. */
export const ONLINE = "online";

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

  /**
   * What decides who is alive, first among the keys of every script that asks: a sorted set incarnation →
   * end of its lease, a hash of `generation` and `lastbeat`, and a hash of incarnation → owner and
   * `<incarnation>:writes` → how often it wrote.
   */
  get leases(): readonly [instances: string, cluster: string, owners: string] {
    return [`${this.#prefix}instances`, `${this.#prefix}cluster`, `${this.#prefix}owners`];
  }

  online(): Place {
    return this.place(ONLINE);
  }

  room(room: string): Place {
    return this.place(`room:${room}`);
  }

  roomsOf(user: string): Place {
    return this.place(`rooms:${user}`);
  }

  /** The place of a name that one of the above has. */
  place(name: string): Place {
    return {
      name,
      holders: `${this.#prefix}holders:${name}`,
      present: `${this.#prefix}present:${name}`,
      watched: !name.startsWith("rooms:"),
    };
  }

  /** Hash member → value, of one incarnation. */
  members(incarnation: string, place: Place): string {
    return `${this.membersBase}${incarnation}:${place.name}`;
  }

  /** Set of the names of the places where an incarnation has members, for clearing away. */
  places(incarnation: string): string {
    return `${this.#prefix}places:${incarnation}`;
  }

  /** Set of the connection ids an incarnation has claimed. */
  claims(incarnation: string): string {
    return `${this.#prefix}claims:${incarnation}`;
  }

  /** The incarnation that holds a connection whose id its caller chose. */
  connection(id: string): string {
    return `${this.#prefix}connection:${id}`;
  }

  /** Sorted set of the connections that hold a user's places, oldest first: `<incarnation>:<id>`. */
  reservations(user: string): string {
    return `${this.#prefix}reservations:${user}`;
  }

  /** Set of the users of whom an incarnation holds places. */
  reserving(incarnation: string): string {
    return `${this.#prefix}reserving:${incarnation}`;
  }

  /** Hash of the rooms a user is in as a user; without a name: the version of the last change. */
  asUser(user: string): string {
    return this.asUserBase + user;
  }

  /** The channel on which it is told who comes to a place and goes. */
  changes(place: Place): string {
    return this.changesBase + place.name;
  }

  /** What `changes` begins with, for scripts. */
  get changesBase(): string {
    return `${this.#prefix}changes:`;
  }

  /** What `members` begins with, for scripts: incarnation, colon and place follow. */
  get membersBase(): string {
    return `${this.#prefix}members:`;
  }

  /** What `asUser` begins with, for scripts. */
  get asUserBase(): string {
    return `${this.#prefix}as-user:`;
  }
}
