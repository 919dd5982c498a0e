import type {
  AsUserChange,
  Grace,
  PresenceEntry,
  PresenceStore,
  Transition,
  UserPresence,
} from "../backplane/contract/presence-store.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { guarded } from "../protocol/guarded.ts";
import { checkName } from "../protocol/names.ts";
import { LocalPresence } from "./local-presence.ts";
import { PendingWrites } from "./pending-writes.ts";
import { Rosters } from "./rosters.ts";
import { UserRooms } from "./user-rooms.ts";
import type { PresenceChange, PresenceWatch } from "./watch.ts";
import { WatchIterator } from "./watch-iterator.ts";

export interface WatchOptions {
  /** Ends the watch when it aborts, as `return()` does: `for await` comes to its end, nothing is thrown. */
  readonly signal?: AbortSignal;
}

/** Who is where in the whole cluster. Long lists are async iterators. */
export interface Presence {
  isOnline(user: string): Promise<boolean>;
  get(user: string): Promise<UserPresence>;
  online(): AsyncIterable<string>;
  roomUsers(room: string): AsyncIterable<string>;
  roomUserCount(room: string): Promise<number>;
  userRooms(user: string): AsyncIterable<string>;
  /**
   * Who is in the room, or without one, who is online: first a snapshot, then each change, whoever made it.
   * A reader that falls behind is told what is true by then, not every step. While the backplane is away it
   * stands still; afterwards it tells what happened meanwhile. It ends with `return()` (as by `break`), with `signal` and
   * with the manager, at once, also while nothing happens.
   *
   * @throws TypeError if an option is wrong. A name that no room can have rejects the first `next`.
   */
  watch(room?: string, options?: WatchOptions): AsyncIterableIterator<PresenceChange>;
}

/** Who is told what the tracker finds out. None of these may throw. */
export interface PresenceObserver {
  /** The cluster changed, and this instance made it so. */
  raise(transition: Transition): void;
  /** The user is in a room as a user, and so are all connections of theirs here. */
  joinedAsUser(user: string, room: string): void;
  /** This instance vouches for the user no longer. */
  gone(user: string): void;
  report(error: unknown): void;
}

/** The longest time a timer of Node can wait for, in milliseconds. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** The longest the cluster goes on holding users of an instance that has left, in milliseconds. */
const MAX_GRACE_MS = 86_400_000;

const DONE: Promise<void> = Promise.resolve();

/** The place that stands for being online; no room has an empty name. */
const ONLINE = "";

/**
 * Tells the cluster when this instance gains its first or loses its last connection of a user, in a room
 * or at all, and raises the transitions that makes. What happens before `start` is told then.
 */
export class PresenceTracker implements Presence {
  readonly #store: PresenceStore;
  readonly #local: LocalPresence;
  readonly #observer: PresenceObserver;
  /** For each user this instance vouches for: what the cluster is told of them. */
  readonly #entries: Map<string, PresenceEntry> = new Map();
  /** For each of them: the rooms they are in as a user. */
  readonly #asUser: Map<string, UserRooms> = new Map();
  readonly #writes: PendingWrites = new PendingWrites();
  readonly #failed = (error: unknown): void => this.#observer.report(error);
  readonly #rosters: Rosters;
  #graceTimer: NodeJS.Timeout | null = null;
  #started = false;

  constructor(store: PresenceStore, graceMs: number, observer: PresenceObserver) {
    this.#store = store;
    this.#local = new LocalPresence(graceMs);
    this.#observer = observer;
    this.#rosters = new Rosters(store, (room) =>
      room === undefined ? this.online() : this.roomUsers(room),
    );
  }

  async start(): Promise<void> {
    this.#started = true;
    const told = [...this.#local.entries()].map(({ place, user }) => this.#tell(place, user, true));
    await Promise.all(told);
  }

  /** Leaves the cluster. Users who are given time to return keep it there: others see to its end. */
  async stop(): Promise<void> {
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    this.#graceTimer = null;
    this.#rosters.end();
    await this.#writes.all();
    this.#started = false;
    const graces = this.#graces();
    this.#local.clear();
    this.#entries.clear();
    this.#asUser.clear();
    for (const transition of await this.#store.withdraw(graces)) this.#observer.raise(transition);
  }

  #graces(): Grace[] {
    const now = performance.now();
    return [...this.#local.holds].map(({ place, user, until }) => {
      const leftMs = Math.min(Math.max(0, until - now), MAX_GRACE_MS);
      return place === ONLINE ? { user, leftMs } : { user, room: place, leftMs };
    });
  }

  /** A connection of the user was made. The cluster is told after `ready`; resolves when it knows. */
  connected(user: string, entry: PresenceEntry, ready: Promise<void> | null): Promise<void> {
    if (!this.#entries.has(user)) this.#entries.set(user, entry);
    return this.#came(ONLINE, user, ready);
  }

  /** A connection of the user ended: on purpose, or `dropped` and perhaps about to return. */
  async disconnected(user: string, dropped: boolean): Promise<void> {
    await this.#remove(ONLINE, user, dropped);
  }

  /** A connection of the user joined the room. The cluster is told after `ready`. */
  joined(room: string, user: string, ready: Promise<void> | null): Promise<void> {
    return this.#came(room, user, ready);
  }

  async left(room: string, user: string, dropped: boolean): Promise<void> {
    await this.#remove(room, user, dropped);
  }

  /** Gives a user who dropped no more time to return. */
  async release(user: string): Promise<void> {
    const places = this.#local.heldBy(user).filter((place) => this.#local.forget(place, user));
    await Promise.all(places.map((place) => this.#tell(place, user, false)));
  }

  /** The rooms the user is in as a user, as far as this instance knows. */
  roomsAsUser(user: string): Iterable<string> {
    return this.#asUser.get(user)?.rooms ?? [];
  }

  /**
   * Takes note that the user is in a room as a user, or no more. Whether that holds: a later change, or the
   * end of the user here, makes it void.
   */
  noteAsUser(user: string, room: string, joined: boolean, version: number): boolean {
    if (!this.#entries.has(user)) return false;
    const rooms = this.#asUser.get(user) ?? new UserRooms();
    this.#asUser.set(user, rooms);
    return rooms.note(room, joined, version);
  }

  /** Resolves when the cluster knows whether the user is online here, or cannot be told now. */
  recorded(user: string): Promise<void> {
    return this.#writes.about(ONLINE, user);
  }

  /** Changes what the cluster knows of the rooms of a user as a user. */
  changeAsUser(type: "join" | "leave", user: string, room: string): Promise<AsUserChange> {
    return type === "join"
      ? this.#store.joinAsUser(user, room)
      : this.#store.leaveAsUser(user, room);
  }

  async isOnline(user: string): Promise<boolean> {
    await this.recorded(user);
    return this.#store.isOnline(user);
  }

  async get(user: string): Promise<UserPresence> {
    await this.#writes.about(ONLINE, user);
    return this.#store.get(user);
  }

  async *online(): AsyncGenerator<string> {
    await this.#writes.all();
    yield* this.#store.onlineUsers();
  }

  async onlineCount(): Promise<number> {
    await this.#writes.all();
    return this.#store.onlineCount();
  }

  async *roomUsers(room: string): AsyncGenerator<string> {
    await this.#writes.all();
    yield* this.#store.roomUsers(room);
  }

  async roomUserCount(room: string): Promise<number> {
    await this.#writes.all();
    return this.#store.roomUserCount(room);
  }

  async *userRooms(user: string): AsyncGenerator<string> {
    await this.#writes.all();
    yield* this.#store.userRooms(user);
  }

  watch(room?: string, options: WatchOptions = {}): AsyncIterableIterator<PresenceChange> {
    checkOptions("watch", options, ["signal"]);
    const { signal } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError("signal must be an AbortSignal.");
    }
    return new WatchIterator(() => this.#beginWatch(room), signal);
  }

  #beginWatch(room: string | undefined): PresenceWatch {
    if (room !== undefined) checkName("room", room);
    return this.#rosters.watch(room);
  }

  #came(place: string, user: string, ready: Promise<void> | null): Promise<void> {
    if (this.#local.add(place, user) === "came") return this.#tell(place, user, true, ready);
    return ready ?? DONE;
  }

  async #remove(place: string, user: string, dropped: boolean): Promise<void> {
    const change = this.#local.remove(place, user, dropped, performance.now());
    this.#watchGrace();
    if (change === "went") await this.#tell(place, user, false);
  }

  /** Tells the cluster that a user came to a place or went, after everything told of them there before. */
  #tell(
    place: string,
    user: string,
    came: boolean,
    ready: Promise<void> | null = null,
  ): Promise<void> {
    if (place === ONLINE && !came) this.#forget(user);
    if (!this.#started) return ready ?? DONE;
    return this.#writes.add(place, user, (before) =>
      this.#writeAfter(before, ready, place, user, came),
    );
  }

  /** Never rejects. */
  #writeAfter(
    before: Promise<void> | undefined,
    ready: Promise<void> | null,
    place: string,
    user: string,
    came: boolean,
  ): Promise<void> {
    const write = (): Promise<void> => this.#write(place, user, came);
    const turn = before === undefined ? ready : before.then(() => ready ?? undefined);
    // Mostly nothing has to be waited for.
    return (turn === null ? write() : turn.then(write)).catch(this.#failed);
  }

  #write(place: string, user: string, came: boolean): Promise<void> {
    if (place !== ONLINE) {
      const changed = came ? this.#store.enter(place, user) : this.#store.exit(place, user);
      return changed.then((isNew) => {
        if (isNew) this.#observer.raise({ type: came ? "join" : "leave", user, room: place });
      });
    }
    if (came) return this.#writeOnline(user);
    return this.#store.offline(user).then((isNew) => {
      if (isNew) this.#observer.raise({ type: "offline", user });
    });
  }

  async #writeOnline(user: string): Promise<void> {
    const entry = this.#entries.get(user);
    if (entry === undefined) return;
    const { first, rooms, version } = await this.#store.online(user, entry);
    if (first) this.#observer.raise({ type: "online", user });
    // Joined before the start. What others have joined them to meanwhile must not be joined again: they may have
    // left it since.
    for (const room of this.#asUser.get(user)?.unknown ?? []) {
      await this.#store.joinAsUser(user, room);
    }
    for (const room of rooms) {
      if (this.noteAsUser(user, room, true, version)) this.#observer.joinedAsUser(user, room);
    }
  }

  #forget(user: string): void {
    this.#entries.delete(user);
    this.#asUser.delete(user);
    this.#observer.gone(user);
  }

  /** One timer for all who are given time to return. */
  #watchGrace(): void {
    const next = this.#local.nextExpiry;
    if (next === null || this.#graceTimer !== null) return;
    // Longer than a timer can: it looks again then. Without an end there is nothing to look for.
    if (next === Number.POSITIVE_INFINITY) return;
    const wait = Math.min(Math.max(0, next - performance.now()), MAX_TIMER_MS);
    const look = guarded(
      () => this.#endGraces(),
      (error) => this.#observer.report(error),
    );
    this.#graceTimer = setTimeout(look, wait).unref();
  }

  #endGraces(): void {
    this.#graceTimer = null;
    for (const { place, user } of this.#local.takeExpired(performance.now())) {
      void this.#tell(place, user, false);
    }
    this.#watchGrace();
  }
}
