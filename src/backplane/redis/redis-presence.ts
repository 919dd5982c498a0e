import type { Reservation, UserLimit } from "../../connections/reservations.ts";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { Instance } from "../backplane.ts";
import type {
  Arrival,
  PresenceEntry,
  PresenceStore,
  Transition,
  UserPresence,
} from "../presence-store.ts";
import { Claims } from "./claims.ts";
import { Holdings } from "./holdings.ts";
import { type Keys, ONLINE, type Place } from "./keys.ts";
import { instanceOf, Lease } from "./lease.ts";
import { type Entry, Memberships, StillAlive } from "./memberships.ts";
import { Owed } from "./owed.ts";
import { pipelined } from "./pipeline.ts";
import { RedisReservations } from "./redis-reservations.ts";
import { RoomsAsUser } from "./rooms-as-user.ts";
import { Rosters } from "./rosters.ts";
import { inTime, type Scripts } from "./scripts.ts";

const AT_A_TIME = 500;

/** What has to be written again, and how. */
interface Rebuild {
  /** Others count this one as dead: it is cleared away first, and all is told that happens. */
  readonly lapsed: string | null;
}

/**
 * Who is where, in Redis. Everything this instance writes is its own, as long as its lease lasts
 * (`Lease`), and is cleared away by others when that has ended (`Memberships.sweep`).
 *
 * What could not be written is owed, and made up for after the next heartbeat. A Redis that came back
 * empty is told everything again, in silence; after a lapsed lease everything is told again as new.
 */
export class RedisPresence implements PresenceStore {
  readonly #keys: Keys;
  readonly #instance: Instance;
  readonly #lease: Lease;
  readonly #memberships: Memberships;
  readonly #rosters: Rosters;
  readonly #claims: Claims;
  readonly #reservations: RedisReservations;
  readonly #roomsAsUser: RoomsAsUser;
  readonly #owed: Owed = new Owed();
  readonly #holdings: Holdings = new Holdings();
  readonly #sweeping: Set<string> = new Set();
  #rebuild: Rebuild | null = null;
  #catchingUp: Promise<void> | null = null;

  constructor(scripts: Scripts, keys: Keys, instance: Instance, leaseMs: number) {
    this.#keys = keys;
    this.#instance = instance;
    this.#lease = new Lease(scripts, keys, instance.id, leaseMs, {
      kept: () => this.#catchUp(this.#rebuild),
      emptied: () => this.#catchUp({ lapsed: null }),
      lapsed: (before) => this.#catchUp({ lapsed: before }),
      expired: (incarnations) => {
        for (const incarnation of incarnations) void this.#clearAway(incarnation);
      },
      failed: (error) => instance.report(error, "presence"),
    });
    this.#memberships = new Memberships(scripts, keys, this.#lease);
    this.#rosters = new Rosters(scripts, keys, leaseMs);
    this.#claims = new Claims(scripts, keys, this.#lease, this.#owed);
    this.#reservations = new RedisReservations(scripts, keys, this.#lease, this.#owed);
    this.#roomsAsUser = new RoomsAsUser(scripts, keys, leaseMs);
  }

  start(): void {
    this.#lease.start();
  }

  stop(): void {
    this.#lease.stop();
  }

  /** There is a new connection: beats at once. Rejects if Redis does not take it. */
  join(): Promise<void> {
    return this.#lease.join();
  }

  // Writes

  async online(user: string, entry: PresenceEntry): Promise<Arrival> {
    const value = this.#encode(entry);
    const first = await this.#enter([{ place: this.#keys.online(), member: user, value }]);
    const rooms = await this.#lease.write(() => this.#roomsAsUser.of(user));
    return { first, rooms: rooms ?? [] };
  }

  async offline(user: string): Promise<boolean> {
    return this.#exit([{ place: this.#keys.online(), member: user, value: "" }]);
  }

  async enter(room: string, user: string): Promise<boolean> {
    return this.#enter(this.#membership(room, user));
  }

  async exit(room: string, user: string): Promise<boolean> {
    return this.#exit(this.#membership(room, user));
  }

  async withdraw(): Promise<readonly Transition[]> {
    this.#lease.stop();
    const entries = [...this.#holdings.entries()];
    this.#holdings.clear();
    this.#owed.clear();
    this.#claims.clear();
    this.#reservations.clear();
    const gone: Entry[] = [];
    const { incarnation, owner } = this.#lease;
    const done = await this.#lease.write(async () => {
      await this.#memberships.exitAll(entries, (entry, went) => {
        if (went) gone.push(entry);
      });
      await this.#forget(incarnation, owner);
      return true;
    });
    // Redis is away: others clear this up when the lease ends. As far as this instance knows, all are gone.
    return (done === null ? entries : gone).flatMap((entry) => transitionOf(entry, false) ?? []);
  }

  async joinAsUser(user: string, room: string): Promise<boolean> {
    const joined = await this.#lease.write(() => this.#roomsAsUser.join(user, room));
    if (joined === null) this.#oweAsUser(user, room);
    else this.#owed.settle(`as user ${user}\n${room}`);
    return joined ?? this.#holdings.has(this.#keys.online(), user);
  }

  async leaveAsUser(user: string, room: string): Promise<boolean> {
    const left = await this.#lease.write(() => this.#roomsAsUser.leave(user, room));
    if (left === null) this.#oweAsUser(user, room);
    else this.#owed.settle(`as user ${user}\n${room}`);
    return left ?? this.#holdings.has(this.#keys.online(), user);
  }

  reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation> {
    return this.#reservations.reserve(user, connection, limit);
  }

  unreserve(user: string, connection: string): Promise<void> {
    return this.#reservations.unreserve(user, connection);
  }

  claim(connection: string): Promise<string | null> {
    return this.#claims.claim(connection);
  }

  release(connection: string): Promise<void> {
    return this.#claims.release(connection);
  }

  // Reads

  async isOnline(user: string): Promise<boolean> {
    const found = await this.#read(() => this.#rosters.find(this.#keys.online(), user));
    return found.length > 0;
  }

  async get(user: string): Promise<UserPresence> {
    const found = await this.#read(() => this.#rosters.find(this.#keys.online(), user));
    const instances = found.flatMap(({ owner, value }) => {
      const entry = decode(value);
      return entry === null ? [] : [{ instance: instanceOf(owner), ...entry }];
    });
    return { online: instances.length > 0, instances };
  }

  onlineUsers(): AsyncIterable<string> {
    return this.#list(this.#keys.online());
  }

  onlineCount(): Promise<number> {
    return this.#read(() => this.#rosters.count(this.#keys.online()));
  }

  roomUsers(room: string): AsyncIterable<string> {
    return this.#list(this.#keys.room(room));
  }

  roomUserCount(room: string): Promise<number> {
    return this.#read(() => this.#rosters.count(this.#keys.room(room)));
  }

  userRooms(user: string): AsyncIterable<string> {
    return this.#list(this.#keys.roomsOf(user));
  }

  async locate(connection: string): Promise<string | null> {
    return (await this.#read(() => this.#claims.locate(connection))) || null;
  }

  async *#list(place: Place): AsyncGenerator<string> {
    const holders = await this.#read(() => this.#rosters.holders(place));
    yield* this.#rosters.list(place, holders);
  }

  /** Reads once this instance has told Redis everything. `read` answers null if Redis is empty. */
  async #read<T>(read: () => Promise<T | null>): Promise<T> {
    for (let attempt = 0; attempt < 2; attempt++) {
      if (this.#catchingUp !== null) await inTime(this.#catchingUp);
      const answer = await read();
      if (answer !== null) return answer;
      await this.#lease.beat();
    }
    throw new BackplaneUnavailableError("Redis was emptied.", "not-stored");
  }

  // What is written

  /** Whether the first of them came: nobody else held it. */
  async #enter(entries: readonly Entry[]): Promise<boolean> {
    for (const entry of entries) this.#holdings.put(entry);
    const came = await this.#lease.write(() => this.#memberships.enter(entries));
    for (const entry of entries) {
      if (came === null) this.#owe(entry);
      else this.#confirm(entry);
    }
    return came?.[0] ?? true;
  }

  async #exit(entries: readonly Entry[]): Promise<boolean> {
    for (const entry of entries) this.#holdings.remove(entry);
    const went = await this.#lease.write(() => this.#memberships.exit(entries));
    for (const entry of entries) {
      if (went === null) this.#owe(entry);
      else this.#owed.settle(subject(entry));
    }
    return went?.[0] ?? true;
  }

  /** In the room, and the same the other way round. */
  #membership(room: string, user: string): [Entry, Entry] {
    return [
      { place: this.#keys.room(room), member: user, value: "" },
      { place: this.#keys.roomsOf(user), member: room, value: "" },
    ];
  }

  #confirm(entry: Entry): void {
    this.#holdings.confirm(entry);
    this.#owed.settle(subject(entry));
  }

  #owe(entry: Entry): void {
    this.#owed.add(subject(entry), async () => {
      const held = this.#holdings.find(entry.place, entry.member);
      const done = await (held === undefined
        ? this.#memberships.exit([entry])
        : this.#memberships.enter([held]));
      if (done !== null && held !== undefined) this.#holdings.confirm(held);
    });
  }

  #oweAsUser(user: string, room: string): void {
    this.#owed.add(`as user ${user}\n${room}`, () => {
      const joined = [...this.#instance.roomsAsUser(user)].includes(room);
      return joined ? this.#roomsAsUser.join(user, room) : this.#roomsAsUser.leave(user, room);
    });
  }

  // Catching up

  /** Begins to write what Redis should have and has not, unless that is under way. */
  #catchUp(rebuild: Rebuild | null): void {
    this.#rebuild = rebuild;
    this.#catchingUp ??= this.#catchUpNow().finally(() => {
      this.#catchingUp = null;
    });
  }

  /** What fails is tried again after the next heartbeat. */
  async #catchUpNow(): Promise<void> {
    try {
      for (let rebuild = this.#rebuild; rebuild !== null; rebuild = this.#rebuild) {
        if (rebuild.lapsed !== null) await this.#clearAway(rebuild.lapsed);
        await this.#writeAll(rebuild.lapsed !== null);
        if (this.#rebuild === rebuild) this.#rebuild = null;
      }
      await this.#owed.settleAll();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #writeAll(told: boolean): Promise<void> {
    await this.#memberships.enterAll(this.#unwritten(), (entry, came) => {
      if (!this.#holdings.has(entry.place, entry.member)) return;
      if (came && told && this.#holdings.isConfirmed(entry)) this.#raise(entry, true);
      this.#confirm(entry);
    });
    const users = [...this.#holdings.members(this.#keys.online())];
    await pipelined(users, AT_A_TIME, async (user) => {
      const rooms = [...this.#instance.roomsAsUser(user)];
      if (rooms.length > 0) await this.#roomsAsUser.restore(user, rooms);
    });
    await this.#claims.register();
    await this.#reservations.register();
  }

  /** All but those that are being written at this moment: their writers try again by themselves. */
  *#unwritten(): Generator<Entry> {
    for (const entry of this.#holdings.entries()) {
      if (this.#holdings.isConfirmed(entry) || this.#owed.has(subject(entry))) yield entry;
    }
  }

  /** Clears away what a dead instance wrote, and tells of those who are gone with it. */
  async #clearAway(incarnation: string): Promise<void> {
    if (this.#sweeping.has(incarnation)) return;
    this.#sweeping.add(incarnation);
    try {
      await this.#memberships.sweep(incarnation, (entry) => this.#raise(entry, false));
      await this.#forget(incarnation, "");
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#sweeping.delete(incarnation);
    }
  }

  async #forget(incarnation: string, owner: string): Promise<void> {
    await this.#claims.sweep(incarnation);
    await this.#reservations.sweep(incarnation);
    const rest = [this.#keys.claims(incarnation), this.#keys.reserving(incarnation)];
    await this.#memberships.forget(incarnation, owner, rest);
  }

  #raise(entry: Entry, came: boolean): void {
    const transition = transitionOf(entry, came);
    if (transition !== null) this.#instance.raise(transition);
  }

  #failed(error: unknown): void {
    const expected = error instanceof BackplaneUnavailableError || error instanceof StillAlive;
    if (!expected) this.#instance.report(error, "presence");
  }

  /** Metadata that is no JSON stays with its instance. */
  #encode(entry: PresenceEntry): string {
    try {
      return JSON.stringify(entry);
    } catch (error) {
      this.#instance.report(error, "presence");
      return JSON.stringify({ ...entry, metadata: {} });
    }
  }
}

/** Null for garbage that somebody else wrote. */
function decode(value: string): PresenceEntry | null {
  try {
    const entry: unknown = JSON.parse(value);
    if (typeof entry !== "object" || entry === null) return null;
    const { connectedAt, metadata } = entry as Partial<PresenceEntry>;
    return typeof connectedAt === "number" ? { connectedAt, metadata: metadata ?? {} } : null;
  } catch {
    return null;
  }
}

function subject({ place, member }: Entry): string {
  return `${place.name}\n${member}`;
}

function transitionOf({ place, member }: Entry, came: boolean): Transition | null {
  if (place.name === ONLINE) return { type: came ? "online" : "offline", user: member };
  if (!place.name.startsWith("room:")) return null;
  const room = place.name.slice("room:".length);
  return { type: came ? "join" : "leave", user: member, room };
}
