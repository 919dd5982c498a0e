/** How many places a user has, and what happens when one more is asked for. */
export interface UserLimit {
  readonly max: number;
  /** "reject": there is none. "replaceOldest": the oldest connection loses its place. */
  readonly whenFull: "reject" | "replaceOldest";
}

export interface Reservation {
  readonly granted: boolean;
  /** Ids of the connections that lost their place to this one. */
  readonly replaced: readonly string[];
}

/** What is kept of a user on one instance, while it holds a connection of theirs. */
export interface PresenceEntry {
  /** When the first of these connections was made, in milliseconds since the epoch. */
  readonly connectedAt: number;
  /** Given with that connection; JSON. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Where a user is online. */
export interface UserPresence {
  readonly online: boolean;
  readonly instances: readonly (PresenceEntry & { readonly instance: string })[];
}

/** A user came into or left a room of the cluster; without a room: came online or went offline. */
export interface Transition {
  readonly type: "join" | "leave" | "online" | "offline";
  readonly user: string;
  readonly room?: string;
}

/** A user whose last connection here dropped, and who is given time to return. */
export interface Grace {
  readonly user: string;
  /** Where they keep their place; without a room: among those online. */
  readonly room?: string;
  /** How much of that time is left, in milliseconds; at most a day. */
  readonly leftMs: number;
}

/** Who is told of users who come and go. Neither may throw. */
export interface PresenceWatcher {
  /** A user came or went, on whatever instance; may be said again of one who is there, or gone, already. */
  changed(user: string, present: boolean): void;
  /** Some changes may have been missed: whoever needs them all lists the users and compares. */
  missed(): void;
}

/**
 * Who is where in the cluster. Each instance writes only its own entries, and only when it gains its
 * first or loses its last connection of a user (in a room), so writes are absolute and safe to repeat.
 * Entries of instances that are gone MUST NOT show in any answer.
 *
 * A method that answers whether a transition took place MUST say so to exactly one instance, and MUST NOT say so
 * before the service has confirmed it. While the service is away, or does not answer within 2.5 s, writes resolve to
 * "no" and are made up for later; the transitions that makes are raised by then (`Instance.raise`). Reads reject with
 * `BackplaneUnavailableError`.
 */
export interface PresenceStore {
  /**
   * This instance holds its first connection of the user. `first`: nobody else held one. `rooms`: those
   * the user is in as a user, which every connection of theirs joins.
   */
  online(user: string, entry: PresenceEntry): Promise<Arrival>;

  /** This instance holds no connection of the user any more. Whether they are offline now. */
  offline(user: string): Promise<boolean>;

  /** The first connection of the user on this instance joined the room. Whether nobody else held one there. */
  enter(room: string, user: string): Promise<boolean>;

  /** The last one left the room. Whether the user is out of it now. */
  exit(room: string, user: string): Promise<boolean>;

  /**
   * Takes back everything this instance wrote, places too, but those in `graces`; answers the transitions that made. The
   * instance leaves: nothing else may be asked of it afterwards. What the service could not be told is taken back by
   * others when the instance's time is over.
   *
   * Those in `graces` MUST show in all answers until the last of these is over, as if the instance were there still, so
   * that nobody who comes elsewhere meanwhile is new there. Then they are taken back on another instance, which is told
   * of the transitions that makes (`Instance.raise`), each on exactly one; if there is no other, nobody is told. While
   * the service is away they may end with the instance's time.
   */
  withdraw(graces?: readonly Grace[]): Promise<readonly Transition[]>;

  isOnline(user: string): Promise<boolean>;
  get(user: string): Promise<UserPresence>;
  /** Users who are online, each once, in no order; those who come or go meanwhile may be missed. */
  onlineUsers(): AsyncIterable<string>;
  onlineCount(): Promise<number>;
  roomUsers(room: string): AsyncIterable<string>;
  roomUserCount(room: string): Promise<number>;
  userRooms(user: string): AsyncIterable<string>;

  /**
   * Tells of everybody who comes into the room or leaves it from the moment this resolves, in the order it
   * happened; without a room, who comes online or goes offline. Resolves to what ends it. MUST NOT reject
   * because the service is away: `missed` is called when it is back.
   */
  watch(room: string | undefined, watcher: PresenceWatcher): Promise<() => void>;

  /**
   * Brings the user into a room as a user, for all their connections, until they leave or are offline.
   * Changes nothing for a user who is offline.
   */
  joinAsUser(user: string, room: string): Promise<AsUserChange>;
  leaveAsUser(user: string, room: string): Promise<AsUserChange>;

  /**
   * Takes one of the user's places in the cluster for a connection of this instance, in one step: of
   * many that ask at the same time, on whatever instances, no more than `limit.max` hold one. The caller
   * closes the connections that were `replaced`. Places of instances that are gone MUST NOT count. It may
   * be called before the attachment is started, and then counts as while the service is away: this
   * instance's own connections alone are counted, and the cluster learns of them later.
   */
  reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation>;
  /** Gives a place back, if this instance holds it. */
  unreserve(user: string, connection: string): Promise<void>;

  /** Takes a connection id its caller chose; answers the other instance that held it until now. */
  claim(connection: string): Promise<string | null>;
  /** Gives it back, if this instance still holds it. */
  release(connection: string): Promise<void>;
  /** The instance that holds such an id. */
  locate(connection: string): Promise<string | null>;

  /** The instances of the cluster: those that have not left, and whose time is not over. */
  instances(): Promise<readonly string[]>;
}

export interface Arrival {
  readonly first: boolean;
  readonly rooms: readonly string[];
  /** That of the last change of these rooms; 0 while the service is away. */
  readonly version: number;
}

/** What became of a change of the rooms a user is in as a user. */
export interface AsUserChange {
  /** Whether that is new. */
  readonly changed: boolean;
  /**
   * No lower than those of all changes of this user's rooms before it, and higher than theirs if it changed
   * something. While the service is away about that of the moment; 0 if not even that is known.
   */
  readonly version: number;
  /** On how many instances the user is; null while the service is away. */
  readonly holders: number | null;
}
