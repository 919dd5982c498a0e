import type { Reservation, UserLimit } from "../../connections/reservations.ts";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { Instance } from "../backplane.ts";
import type {
  Arrival,
  AsUserChange,
  PresenceEntry,
  PresenceStore,
  PresenceWatcher,
  Transition,
  UserPresence,
} from "../presence-store.ts";
import type { BucketKeys, Place } from "./bucket-keys.ts";
import { Changes, type Listen } from "./changes.ts";
import type { Keys } from "./keys.ts";
import { instanceOf } from "./lease.ts";
import type { Entry } from "./memberships.ts";
import { Registration } from "./registration.ts";
import { Rosters } from "./rosters.ts";
import { type Scripts, SlotInMotionError } from "./scripts.ts";

/** What falls into one bucket: it has leases of its own, and is written and read by itself. */
interface Bucket {
  readonly keys: BucketKeys;
  /** What this instance holds there. */
  readonly own: Registration;
  /** What the living hold there. */
  readonly rosters: Rosters;
}

/**
 * Who is where, in Redis: writes what this instance holds (`Registration`), reads what the living say
 * (`Rosters`). Alone, Redis has one bucket.
 */
export class RedisPresence implements PresenceStore {
  readonly #keys: Keys;
  readonly #instance: Instance;
  readonly #buckets: readonly Bucket[];
  readonly #changes: Changes;

  constructor(scripts: Scripts, listen: Listen, keys: Keys, instance: Instance, leaseMs: number) {
    this.#keys = keys;
    this.#instance = instance;
    this.#changes = new Changes(listen, leaseMs);
    this.#buckets = keys.buckets.map((own) => ({
      keys: own,
      own: new Registration(scripts, own, instance, leaseMs, () => this.#changes.emptied()),
      rosters: new Rosters(scripts, own, leaseMs),
    }));
  }

  start(): void {
    for (const { own } of this.#buckets) own.lease.start();
  }

  stop(): void {
    for (const { own } of this.#buckets) own.lease.stop();
    this.#changes.stop();
  }

  /**
   * There is a new connection to the server that holds these buckets: beats there at once. Rejects if Redis
   * does not take it; a bucket that is being moved is left to the next heartbeat.
   */
  async join(buckets: readonly number[]): Promise<void> {
    await Promise.all(
      buckets.map(async (bucket) => {
        try {
          await this.#buckets[bucket]?.own.lease.join();
        } catch (error) {
          if (!(error instanceof SlotInMotionError)) throw error;
        }
      }),
    );
    this.#changes.missed();
  }

  // Writes

  async online(user: string, entry: PresenceEntry): Promise<Arrival> {
    const { keys, own } = this.#ofUser(user);
    const value = this.#encode(entry);
    const first = await own.enter([{ place: keys.online(), member: user, value }]);
    return { first, ...(await own.roomsAsUser(user)) };
  }

  async offline(user: string): Promise<boolean> {
    const { keys, own } = this.#ofUser(user);
    return own.exit([{ place: keys.online(), member: user, value: "" }]);
  }

  enter(room: string, user: string): Promise<boolean> {
    return this.#change("enter", room, user);
  }

  exit(room: string, user: string): Promise<boolean> {
    return this.#change("exit", room, user);
  }

  async withdraw(): Promise<readonly Transition[]> {
    const made = await Promise.all(this.#buckets.map(({ own }) => own.withdraw()));
    return made.flat();
  }

  joinAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.#ofUser(user).own.joinAsUser(user, room);
  }

  leaveAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.#ofUser(user).own.leaveAsUser(user, room);
  }

  reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation> {
    return this.#ofUser(user).own.reservations.reserve(user, connection, limit);
  }

  unreserve(user: string, connection: string): Promise<void> {
    return this.#ofUser(user).own.reservations.unreserve(user, connection);
  }

  claim(connection: string): Promise<string | null> {
    return this.#ofConnection(connection).own.claims.claim(connection);
  }

  release(connection: string): Promise<void> {
    return this.#ofConnection(connection).own.claims.release(connection);
  }

  // Reads

  async isOnline(user: string): Promise<boolean> {
    return (await this.#find(user)).length > 0;
  }

  async get(user: string): Promise<UserPresence> {
    const instances = (await this.#find(user)).flatMap(({ owner, value }) => {
      const entry = decode(value);
      return entry === null ? [] : [{ instance: instanceOf(owner), ...entry }];
    });
    return { online: instances.length > 0, instances };
  }

  async *onlineUsers(): AsyncGenerator<string> {
    for (const bucket of this.#buckets) yield* this.#list(bucket, bucket.keys.online());
  }

  async onlineCount(): Promise<number> {
    const counts = await Promise.all(
      this.#buckets.map((bucket) => this.#count(bucket, bucket.keys.online())),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  roomUsers(room: string): AsyncIterable<string> {
    const bucket = this.#ofRoom(room);
    return this.#list(bucket, bucket.keys.room(room));
  }

  roomUserCount(room: string): Promise<number> {
    const bucket = this.#ofRoom(room);
    return this.#count(bucket, bucket.keys.room(room));
  }

  userRooms(user: string): AsyncIterable<string> {
    const bucket = this.#ofUser(user);
    return this.#list(bucket, bucket.keys.roomsOf(user));
  }

  async locate(connection: string): Promise<string | null> {
    const bucket = this.#ofConnection(connection);
    return (await this.#read(bucket, () => bucket.own.claims.locate(connection))) || null;
  }

  watch(room: string | undefined, watcher: PresenceWatcher): Promise<() => void> {
    const buckets = room === undefined ? this.#buckets : [this.#ofRoom(room)];
    const channels = buckets.map(({ keys }) =>
      keys.changes(room === undefined ? keys.online() : keys.room(room)),
    );
    return this.#changes.watch(channels, watcher);
  }

  #find(user: string): Promise<{ owner: string; value: string }[]> {
    const bucket = this.#ofUser(user);
    return this.#read(bucket, () => bucket.rosters.find(bucket.keys.online(), user));
  }

  #count(bucket: Bucket, place: Place): Promise<number> {
    return this.#read(bucket, () => bucket.rosters.count(place));
  }

  async *#list(bucket: Bucket, place: Place): AsyncGenerator<string> {
    const holders = await this.#read(bucket, () => bucket.rosters.holders(place));
    yield* bucket.rosters.list(place, holders);
  }

  /** Reads once this instance has told Redis everything. `read` answers null if Redis is empty. */
  async #read<T>({ own }: Bucket, read: () => Promise<T | null>): Promise<T> {
    for (let attempt = 0; attempt < 2; attempt++) {
      await own.complete();
      const answer = await read();
      if (answer !== null) return answer;
      await own.lease.beat();
    }
    throw new BackplaneUnavailableError("Redis was emptied.", "not-stored");
  }

  // What lies where

  #ofUser(user: string): Bucket {
    return this.#at(this.#keys.bucketFor(`user:${user}`));
  }

  #ofRoom(room: string): Bucket {
    return this.#at(this.#keys.bucketFor(`room:${room}`));
  }

  #ofConnection(id: string): Bucket {
    return this.#at(this.#keys.bucketFor(`connection:${id}`));
  }

  #at(bucket: number): Bucket {
    const found = this.#buckets[bucket];
    if (found === undefined) throw new RangeError(`There is no bucket ${bucket}.`);
    return found;
  }

  // What is written

  /**
   * The user comes into the room or leaves it, and the same the other way round: in one step where both lie in
   * one bucket.
   */
  async #change(verb: "enter" | "exit", room: string, user: string): Promise<boolean> {
    const [ofRoom, ofUser] = [this.#ofRoom(room), this.#ofUser(user)];
    const membership: Entry = { place: ofRoom.keys.room(room), member: user, value: "" };
    const index: Entry = { place: ofUser.keys.roomsOf(user), member: room, value: "" };
    if (ofRoom === ofUser) return ofRoom.own[verb]([membership, index]);
    const [changed] = await Promise.all([
      ofRoom.own[verb]([membership]),
      ofUser.own[verb]([index]),
    ]);
    return changed;
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
