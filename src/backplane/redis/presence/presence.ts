import type { Instance } from "../../contract/backplane.ts";
import type { Broker } from "../../contract/broker.ts";
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
} from "../../contract/presence-store.ts";
import {
  ONLINE,
  type Outcome,
  recordId,
  roomPlace,
  roomsPlace,
  type Subject,
} from "../../core/change.ts";
import { Ledger } from "../../core/ledger.ts";
import { Reservations } from "../../core/reservations.ts";
import type { Keys } from "../keys.ts";
import { inTime, type Scripts, SlotInMotionError } from "../net/run.ts";
import type { BucketKeys } from "./bucket-keys.ts";
import { Changes, type Listen } from "./changes.ts";
import { EmptyRedisError, Reads } from "./reads.ts";
import { RoomsAsUser } from "./rooms-as-user.ts";
import { RedisLedgerStore } from "./store.ts";

/** What falls into one bucket: it has leases of its own, and is written and read by itself. */
interface Bucket {
  readonly keys: BucketKeys;
  /** What this instance holds there. */
  readonly own: Ledger;
  /** What the living hold there. */
  readonly reads: Reads;
}

/** What presence needs of the connections to Redis. */
export interface PresenceLink {
  readonly scripts: Scripts;
  readonly listen: Listen;
  readonly publish: Broker["publish"];
}

/** Who is where, in Redis: a `Ledger` for each bucket. Alone, Redis has one bucket. */
export class RedisPresence implements PresenceStore {
  readonly #keys: Keys;
  readonly #instance: Instance;
  readonly #buckets: readonly Bucket[];
  readonly #changes: Changes;
  /** The places of this instance's own connections: all that count while Redis is away. */
  readonly #seats: Reservations = new Reservations();
  readonly roomsAsUser: RoomsAsUser;
  /** Who is told gone while this instance takes everything back. */
  #withdrawn: Transition[] | null = null;

  constructor(
    { scripts, listen, publish }: PresenceLink,
    keys: Keys,
    instance: Instance,
    leaseMs: number,
  ) {
    this.#keys = keys;
    this.#instance = instance;
    this.roomsAsUser = new RoomsAsUser({
      instance,
      publish,
      ledgerOf: (user) => this.#ofUser(user).own,
    });
    this.#changes = new Changes(listen, leaseMs);
    this.#buckets = keys.buckets.map((own, index) => {
      const store = new RedisLedgerStore(scripts, own, leaseMs);
      const ledger = new Ledger(store, instance.id, leaseMs, {
        changed: (subject, came) => this.#raise(subject, came),
        emptied: () => this.#changes.emptied(),
        restoring: () => this.roomsAsUser.restore(this.#at(index).own),
        asUser: (change) => this.roomsAsUser.learn(change),
        madeAsUser: (change) => this.roomsAsUser.announce(change),
        report: (error) => instance.report(error, "presence"),
      });
      return { keys: own, own: ledger, reads: new Reads(scripts, own, leaseMs) };
    });
  }

  start(): void {
    for (const { own } of this.#buckets) own.lease.start();
  }

  stop(): void {
    for (const { own } of this.#buckets) own.stop();
    this.#changes.stop();
  }

  /**
   * There is a new connection to the server that holds these buckets, of this `run`: beats there at once. Rejects if Redis
   * does not take it; a bucket that is being moved is left to the next heartbeat.
   */
  async join(buckets: readonly number[], run: string): Promise<void> {
    await Promise.all(
      buckets.map(async (bucket) => {
        try {
          await this.#buckets[bucket]?.own.join(run);
        } catch (error) {
          if (!(error instanceof SlotInMotionError)) throw error;
        }
      }),
    );
    this.#changes.missed();
  }

  // Writes

  async online(user: string, entry: PresenceEntry): Promise<Arrival> {
    const { own } = this.#ofUser(user);
    const outcome = await this.#add(own, ONLINE, user, this.#encode(entry));
    if (outcome?.type !== "member") return { first: false, rooms: [], version: 0 };
    return {
      first: outcome.changed === true,
      ...this.roomsAsUser.arrived(user, outcome.rooms),
    };
  }

  async offline(user: string): Promise<boolean> {
    this.roomsAsUser.forget(user);
    return isChange(await this.#remove(this.#ofUser(user).own, ONLINE, user));
  }

  async enter(room: string, user: string): Promise<boolean> {
    const [entered] = await Promise.all([
      this.#add(this.#ofRoom(room).own, roomPlace(room), user),
      this.#add(this.#ofUser(user).own, roomsPlace(user), room),
    ]);
    return isChange(entered);
  }

  async exit(room: string, user: string): Promise<boolean> {
    const [left] = await Promise.all([
      this.#remove(this.#ofRoom(room).own, roomPlace(room), user),
      this.#remove(this.#ofUser(user).own, roomsPlace(user), room),
    ]);
    return isChange(left);
  }

  async withdraw(graces: readonly Grace[] = []): Promise<readonly Transition[]> {
    this.#withdrawn = [];
    const kept = this.#idsOf(graces);
    const forMs = graces.reduce((longest, { leftMs }) => Math.max(longest, leftMs), 0);
    await Promise.all(
      this.#buckets.map(({ own }) => own.withdraw({ ids: kept.get(own) ?? NONE, forMs })),
    );
    const transitions = this.#withdrawn;
    this.#withdrawn = null;
    this.#seats.releaseAll(OWN);
    return transitions;
  }

  joinAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.roomsAsUser.change(user, room, true);
  }

  leaveAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.roomsAsUser.change(user, room, false);
  }

  async reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation> {
    const { own } = this.#ofUser(user);
    const record = own.records.open({ kind: "seat", user, connection });
    record.wanted = true;
    record.limit = limit;
    const outcome = await own.write(record);
    // Given back meanwhile: whatever Redis says then is undone.
    if (!record.wanted && outcome?.type !== "seat") return REFUSED;
    if (outcome?.type === "seat") {
      if (!outcome.granted || !record.wanted) return REFUSED;
      for (const other of outcome.replaced) this.#seats.release(user, other, OWN);
      this.#seats.reserve(user, connection, OWN, GRANTED);
      return { granted: true, replaced: outcome.replaced };
    }
    const reservation = this.#seats.reserve(user, connection, OWN, limit);
    record.old = true;
    for (const gone of reservation.granted ? reservation.replaced : [connection]) {
      void this.#giveBack(own, user, gone);
    }
    return reservation;
  }

  async unreserve(user: string, connection: string): Promise<void> {
    this.#seats.release(user, connection, OWN);
    await this.#giveBack(this.#ofUser(user).own, user, connection);
  }

  async claim(connection: string): Promise<string | null> {
    const { own } = this.#ofConnection(connection);
    const record = own.records.open({ kind: "claim", id: connection });
    record.wanted = true;
    record.old = false;
    const outcome = await own.write(record);
    return outcome?.type === "claim" ? outcome.before : null;
  }

  async release(connection: string): Promise<void> {
    const { own } = this.#ofConnection(connection);
    const record = own.records.get({ kind: "claim", id: connection });
    if (record === undefined) return;
    record.wanted = false;
    await own.write(record);
  }

  // Reads

  isOnline(user: string): Promise<boolean> {
    const bucket = this.#ofUser(user);
    return this.#read(bucket, () => bucket.reads.has(ONLINE, user));
  }

  async get(user: string): Promise<UserPresence> {
    const bucket = this.#ofUser(user);
    const found = await this.#read(bucket, () => bucket.reads.find(ONLINE, user));
    const instances = found.flatMap(({ instance, value }) => {
      const entry = decode(value);
      return entry === null ? [] : [{ instance, ...entry }];
    });
    return { online: instances.length > 0, instances };
  }

  async *onlineUsers(): AsyncGenerator<string> {
    for (const bucket of this.#buckets) yield* this.#list(bucket, ONLINE);
  }

  async onlineCount(): Promise<number> {
    const counts = await Promise.all(this.#buckets.map((bucket) => this.#count(bucket, ONLINE)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  roomUsers(room: string): AsyncIterable<string> {
    return this.#list(this.#ofRoom(room), roomPlace(room));
  }

  roomUserCount(room: string): Promise<number> {
    return this.#count(this.#ofRoom(room), roomPlace(room));
  }

  userRooms(user: string): AsyncIterable<string> {
    return this.#list(this.#ofUser(user), roomsPlace(user));
  }

  locate(connection: string): Promise<string | null> {
    const bucket = this.#ofConnection(connection);
    return this.#read(bucket, () => bucket.reads.locate(connection));
  }

  watch(room: string | undefined, watcher: PresenceWatcher): Promise<() => void> {
    const buckets = room === undefined ? this.#buckets : [this.#ofRoom(room)];
    const place = room === undefined ? ONLINE : roomPlace(room);
    return this.#changes.watch(
      buckets.map(({ keys }) => keys.changes(place)),
      watcher,
    );
  }

  #count(bucket: Bucket, place: string): Promise<number> {
    return this.#read(bucket, () => bucket.reads.count(place));
  }

  async *#list(bucket: Bucket, place: string): AsyncGenerator<string> {
    const members = await this.#read(bucket, async () => {
      const iterator = bucket.reads.list(place);
      return { first: await iterator.next(), iterator };
    });
    if (members.first.done) return;
    yield members.first.value;
    yield* members.iterator;
  }

  /** Reads once this instance has told Redis everything. */
  async #read<T>({ own }: Bucket, read: () => Promise<T>): Promise<T> {
    await inTime(own.complete());
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof EmptyRedisError)) throw error;
    }
    await own.lease.beat();
    await inTime(own.complete());
    return read();
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

  #add(own: Ledger, place: string, member: string, value = ""): Promise<Outcome | null> {
    const record = own.records.open({ kind: "member", place, member });
    record.wanted = true;
    record.value = value;
    return own.write(record);
  }

  async #remove(own: Ledger, place: string, member: string): Promise<Outcome | null> {
    const record = own.records.get({ kind: "member", place, member });
    if (record === undefined) return null;
    record.wanted = false;
    return own.write(record);
  }

  async #giveBack(own: Ledger, user: string, connection: string): Promise<void> {
    const record = own.records.get({ kind: "seat", user, connection });
    if (record === undefined) return;
    record.wanted = false;
    await own.write(record);
  }

  /** What is stated of these users, in each ledger. */
  #idsOf(graces: readonly Grace[]): Map<Ledger, Set<string>> {
    const ids = new Map<Ledger, Set<string>>();
    const keep = ({ own }: Bucket, place: string, member: string): void => {
      const some = ids.get(own) ?? new Set();
      ids.set(own, some.add(recordId({ kind: "member", place, member })));
    };
    for (const { user, room } of graces) {
      if (room === undefined) keep(this.#ofUser(user), ONLINE, user);
      else {
        keep(this.#ofRoom(room), roomPlace(room), user);
        keep(this.#ofUser(user), roomsPlace(user), room);
      }
    }
    return ids;
  }

  #raise(subject: Subject, came: boolean): void {
    const transition = transitionOf(subject, came);
    if (transition === null) return;
    if (this.#withdrawn !== null && !came) this.#withdrawn.push(transition);
    else this.#instance.raise(transition);
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

/** Whose all places are that are counted here. */
const OWN = "";
const NONE: ReadonlySet<string> = new Set();
const REFUSED: Reservation = { granted: false, replaced: [] };
/** A limit that nobody reaches: for places that were granted already. */
const GRANTED: UserLimit = { max: Number.MAX_SAFE_INTEGER, whenFull: "reject" };

function isChange(outcome: Outcome | null): boolean {
  return outcome?.type === "member" && outcome.changed === true;
}

function transitionOf(subject: Subject, came: boolean): Transition | null {
  if (subject.kind !== "member") return null;
  const { place, member: user } = subject;
  if (place === ONLINE) return { type: came ? "online" : "offline", user };
  if (!place.startsWith("room:")) return null;
  return { type: came ? "join" : "leave", user, room: place.slice("room:".length) };
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
