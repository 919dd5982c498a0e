import { DenseSet } from "../../fanout/dense-set.ts";
import type { Instance } from "../contract/backplane.ts";
import type {
  Arrival,
  AsUserChange,
  Grace,
  PresenceEntry,
  PresenceStore,
  PresenceWatcher,
  Reservation,
  Transition,
  UserLimit,
  UserPresence,
} from "../contract/presence-store.ts";
import { Reservations } from "../core/reservations.ts";

/** What one instance says of a user. */
interface Held extends PresenceEntry {
  readonly holder: MemoryPresence;
}

/**
 * Which instances hold whom where, for all that share a memory backplane. An instance that comes again under its id is
 * another holder.
 */
export class MemoryPresenceTable {
  /** The instances that are there. */
  readonly attached: Set<Instance> = new Set();
  /** user → what is kept of them, for each instance. Mostly it is one: lists take the least memory. */
  readonly online: Map<string, readonly Held[]> = new Map();
  /** room → user → who holds them there */
  readonly rooms: Map<string, Map<string, readonly MemoryPresence[]>> = new Map();
  /** user → rooms, the other way round */
  readonly roomsOf: Map<string, DenseSet<string>> = new Map();
  /** user → rooms they are in as a user */
  readonly asUser: Map<string, Set<string>> = new Map();
  /** how many changes of these there were */
  version: number = 0;
  /** connection id its caller chose → instance */
  readonly claims: Map<string, string> = new Map();
  /** the places users hold */
  readonly reservations: Reservations = new Reservations();
  /** room, or undefined for everyone online → who is told of changes */
  readonly watchers: Map<string | undefined, Set<PresenceWatcher>> = new Map();

  changed(room: string | undefined, user: string, present: boolean): void {
    for (const watcher of this.watchers.get(room) ?? []) watcher.changed(user, present);
  }
}

export class MemoryPresence implements PresenceStore {
  readonly #table: MemoryPresenceTable;
  readonly #owner: Instance;
  readonly #instance: string;

  constructor(table: MemoryPresenceTable, owner: Instance) {
    this.#table = table;
    this.#owner = owner;
    this.#instance = owner.id;
  }

  async online(user: string, entry: PresenceEntry): Promise<Arrival> {
    const { online, asUser } = this.#table;
    const others = (online.get(user) ?? []).filter(({ holder }) => holder !== this);
    const first = !online.has(user);
    const { connectedAt, metadata } = entry;
    online.set(user, withOne(others, { holder: this, connectedAt, metadata }));
    if (first) this.#table.changed(undefined, user, true);
    const { version } = this.#table;
    return { first, rooms: [...(asUser.get(user) ?? [])], version };
  }

  async offline(user: string): Promise<boolean> {
    return this.#offline(user);
  }

  async enter(room: string, user: string): Promise<boolean> {
    const { rooms, roomsOf } = this.#table;
    const users = within(rooms, room, () => new Map<string, readonly MemoryPresence[]>());
    const holders = users.get(user) ?? [];
    const first = holders.length === 0;
    if (!holders.includes(this)) users.set(user, withOne<MemoryPresence>(holders, this));
    within(roomsOf, user, () => new DenseSet<string>()).add(room);
    if (first) this.#table.changed(room, user, true);
    return first;
  }

  async exit(room: string, user: string): Promise<boolean> {
    return this.#exit(room, user);
  }

  async withdraw(graces: readonly Grace[] = []): Promise<readonly Transition[]> {
    const { attached, claims } = this.#table;
    attached.delete(this.#owner);
    const kept = new Set(graces.map(({ user, room = "" }) => `${room}\n${user}`));
    const made = this.#takeBack(kept);
    if (graces.length > 0) {
      const longest = graces.reduce((most, { leftMs }) => Math.max(most, leftMs), 0);
      setTimeout(() => this.#endGraces(), longest).unref();
    }
    for (const [connection, instance] of claims) {
      if (instance === this.#instance) claims.delete(connection);
    }
    this.#table.reservations.releaseAll(this.#instance);
    return made;
  }

  /** Those who were kept are taken back, and some instance that is there tells of it. */
  #endGraces(): void {
    const [survivor] = this.#table.attached;
    for (const transition of this.#takeBack(NOBODY)) survivor?.raise(transition);
  }

  /** Takes back all but those who are kept; answers the transitions that made. */
  #takeBack(kept: ReadonlySet<string>): Transition[] {
    const { online, rooms } = this.#table;
    const made: Transition[] = [];
    for (const [room, users] of rooms) {
      for (const user of users.keys()) {
        if (kept.has(`${room}\n${user}`)) continue;
        if (this.#exit(room, user)) made.push({ type: "leave", user, room });
      }
    }
    for (const user of online.keys()) {
      if (kept.has(`\n${user}`)) continue;
      if (this.#offline(user)) made.push({ type: "offline", user });
    }
    return made;
  }

  async isOnline(user: string): Promise<boolean> {
    return this.#table.online.has(user);
  }

  async get(user: string): Promise<UserPresence> {
    const instances = (this.#table.online.get(user) ?? []).map(({ holder, ...entry }) => ({
      instance: holder.#instance,
      ...entry,
    }));
    return { online: instances.length > 0, instances };
  }

  async *onlineUsers(): AsyncGenerator<string> {
    yield* [...this.#table.online.keys()];
  }

  async onlineCount(): Promise<number> {
    return this.#table.online.size;
  }

  async *roomUsers(room: string): AsyncGenerator<string> {
    yield* [...(this.#table.rooms.get(room)?.keys() ?? [])];
  }

  async roomUserCount(room: string): Promise<number> {
    return this.#table.rooms.get(room)?.size ?? 0;
  }

  async *userRooms(user: string): AsyncGenerator<string> {
    yield* [...(this.#table.roomsOf.get(user)?.items ?? [])];
  }

  async watch(room: string | undefined, watcher: PresenceWatcher): Promise<() => void> {
    const { watchers } = this.#table;
    within(watchers, room, () => new Set<PresenceWatcher>()).add(watcher);
    return () => {
      const others = watchers.get(room);
      others?.delete(watcher);
      if (others?.size === 0) watchers.delete(room);
    };
  }

  async joinAsUser(user: string, room: string): Promise<AsUserChange> {
    const { online, asUser } = this.#table;
    if (!online.has(user)) return this.#asUserChange(user, false);
    const rooms = within(asUser, user, () => new Set<string>());
    const changed = !rooms.has(room);
    rooms.add(room);
    return this.#asUserChange(user, changed);
  }

  async leaveAsUser(user: string, room: string): Promise<AsUserChange> {
    const rooms = this.#table.asUser.get(user);
    const changed = rooms?.delete(room) ?? false;
    if (rooms?.size === 0) this.#table.asUser.delete(user);
    return this.#asUserChange(user, changed);
  }

  async reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation> {
    return this.#table.reservations.reserve(user, connection, this.#instance, limit);
  }

  async unreserve(user: string, connection: string): Promise<void> {
    this.#table.reservations.release(user, connection, this.#instance);
  }

  async claim(connection: string): Promise<string | null> {
    const holder = this.#table.claims.get(connection) ?? null;
    this.#table.claims.set(connection, this.#instance);
    return holder === this.#instance ? null : holder;
  }

  async release(connection: string): Promise<void> {
    const { claims } = this.#table;
    if (claims.get(connection) === this.#instance) claims.delete(connection);
  }

  async locate(connection: string): Promise<string | null> {
    return this.#table.claims.get(connection) ?? null;
  }

  async instances(): Promise<readonly string[]> {
    return [...this.#table.attached].map(({ id }) => id);
  }

  #asUserChange(user: string, changed: boolean): AsUserChange {
    if (changed) this.#table.version++;
    const holders = this.#table.online.get(user)?.length ?? 0;
    return { changed, version: this.#table.version, holders };
  }

  #offline(user: string): boolean {
    const { online, asUser } = this.#table;
    const holders = online.get(user);
    const others = holders?.filter(({ holder }) => holder !== this) ?? [];
    if (holders === undefined || others.length === holders.length) return false;
    if (others.length > 0) {
      online.set(user, others);
      return false;
    }
    online.delete(user);
    asUser.delete(user);
    this.#table.changed(undefined, user, false);
    return true;
  }

  #exit(room: string, user: string): boolean {
    const { rooms, roomsOf } = this.#table;
    const users = rooms.get(room);
    const holders = users?.get(user);
    if (users === undefined || holders === undefined) return false;
    const others = holders.filter((holder) => holder !== this);
    if (others.length === holders.length) return false;
    if (others.length > 0) {
      users.set(user, others);
      return false;
    }
    users.delete(user);
    if (users.size === 0) rooms.delete(room);
    const joined = roomsOf.get(user);
    joined?.delete(room);
    if (joined?.size === 0) roomsOf.delete(user);
    this.#table.changed(room, user, false);
    return true;
  }
}

const NOBODY: ReadonlySet<string> = new Set();

/** A list with one more at its end, as small as can be. */
function withOne<T>(list: readonly T[], one: T): readonly T[] {
  return list.length === 0 ? [one] : list.concat([one]);
}

/** The value at `key`, made when it is missing. */
function within<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
