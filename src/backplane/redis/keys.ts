import type { Channel } from "../broker.ts";
import type { LogName } from "../history-store.ts";

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
 * Every name of a key or channel is made here. Names of rooms and users hold no control characters and no
 * braces, and incarnations no colon, so no two of these are ever the same.
 */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** So that `redis-cli PUBLISH ws:room:lobby …` just works. */
  channel(channel: Channel): string {
    return this.#prefix + channel;
  }

  /** The channel a name stands for; the name is one of `channel`. */
  channelOf(name: string): Channel {
    return name.slice(this.#prefix.length) as Channel;
  }

  /** A log, which has the name of its channel: a stream. */
  log(log: LogName): string {
    return `${this.#prefix}log:${log}`;
  }

  /** The position of the newest entry of that log. It outlives the log. */
  logEnd(log: LogName): string {
    return `${this.#prefix}log-end:${log}`;
  }

  /** The position of the message of a log that had an idempotency key first. */
  idempotency(log: LogName, key: string): string {
    return `${this.#prefix}idempotency:${log} ${key}`;
  }

  /** What is known of one message of a client; the name is a digest. */
  receipt(digest: string): string {
    return `${this.#prefix}receipt:${digest}`;
  }

  /**
   * What decides who is alive, first among the keys of every script that asks: a sorted set incarnation →
   * end of its lease, a hash of `generation` and `lastbeat`, and a hash incarnation → owner.
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

  /** Set of the rooms a user is in as a user. */
  asUser(user: string): string {
    return this.asUserBase + user;
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
