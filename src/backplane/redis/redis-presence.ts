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
import type { Keys, Place } from "./keys.ts";
import { instanceOf } from "./lease.ts";
import type { Entry } from "./memberships.ts";
import { Registration } from "./registration.ts";
import { Rosters } from "./rosters.ts";
import type { Scripts } from "./scripts.ts";

/** Who is where, in Redis: writes what this instance holds (`Registration`), reads what the living say. */
export class RedisPresence implements PresenceStore {
  readonly #keys: Keys;
  readonly #instance: Instance;
  readonly #own: Registration;
  readonly #rosters: Rosters;

  constructor(scripts: Scripts, keys: Keys, instance: Instance, leaseMs: number) {
    this.#keys = keys;
    this.#instance = instance;
    this.#own = new Registration(scripts, keys, instance, leaseMs);
    this.#rosters = new Rosters(scripts, keys, leaseMs);
  }

  start(): void {
    this.#own.lease.start();
  }

  stop(): void {
    this.#own.lease.stop();
  }

  /** There is a new connection: beats at once. Rejects if Redis does not take it. */
  join(): Promise<void> {
    return this.#own.lease.join();
  }

  // Writes

  async online(user: string, entry: PresenceEntry): Promise<Arrival> {
    const value = this.#encode(entry);
    const first = await this.#own.enter([{ place: this.#keys.online(), member: user, value }]);
    return { first, rooms: await this.#own.roomsAsUser(user) };
  }

  async offline(user: string): Promise<boolean> {
    return this.#own.exit([{ place: this.#keys.online(), member: user, value: "" }]);
  }

  async enter(room: string, user: string): Promise<boolean> {
    return this.#own.enter(this.#membership(room, user));
  }

  async exit(room: string, user: string): Promise<boolean> {
    return this.#own.exit(this.#membership(room, user));
  }

  withdraw(): Promise<readonly Transition[]> {
    return this.#own.withdraw();
  }

  joinAsUser(user: string, room: string): Promise<boolean> {
    return this.#own.joinAsUser(user, room);
  }

  leaveAsUser(user: string, room: string): Promise<boolean> {
    return this.#own.leaveAsUser(user, room);
  }

  reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation> {
    return this.#own.reservations.reserve(user, connection, limit);
  }

  unreserve(user: string, connection: string): Promise<void> {
    return this.#own.reservations.unreserve(user, connection);
  }

  claim(connection: string): Promise<string | null> {
    return this.#own.claims.claim(connection);
  }

  release(connection: string): Promise<void> {
    return this.#own.claims.release(connection);
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
    return (await this.#read(() => this.#own.claims.locate(connection))) || null;
  }

  async *#list(place: Place): AsyncGenerator<string> {
    const holders = await this.#read(() => this.#rosters.holders(place));
    yield* this.#rosters.list(place, holders);
  }

  /** Reads once this instance has told Redis everything. `read` answers null if Redis is empty. */
  async #read<T>(read: () => Promise<T | null>): Promise<T> {
    for (let attempt = 0; attempt < 2; attempt++) {
      await this.#own.complete();
      const answer = await read();
      if (answer !== null) return answer;
      await this.#own.lease.beat();
    }
    throw new BackplaneUnavailableError("Redis was emptied.", "not-stored");
  }

  // What is written

  /** In the room, and the same the other way round. */
  #membership(room: string, user: string): [Entry, Entry] {
    return [
      { place: this.#keys.room(room), member: user, value: "" },
      { place: this.#keys.roomsOf(user), member: room, value: "" },
    ];
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
