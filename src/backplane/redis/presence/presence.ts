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
import type { Keys } from "../keys.ts";
import { type Scripts, SlotInMotionError } from "../net/run.ts";
import { type Bucket, Buckets, count, list, readFrom } from "./buckets.ts";
import { Changes, type Listen } from "./changes.ts";
import { Holdings } from "./holdings.ts";
import { Reads } from "./reads.ts";
import { RoomsAsUser } from "./rooms-as-user.ts";
import { RedisLedgerStore } from "./store.ts";

/** What presence needs of the connections to Redis. */
export interface PresenceLink {
  readonly scripts: Scripts;
  readonly listen: Listen;
  readonly publish: Broker["publish"];
  /** Tells every instance something of a bucket. Rejects if Redis does not take it. */
  tellAll(bucket: number, text: string): Promise<void>;
}

/** What an instance that has left tells of its lease in a bucket: when it ends, in milliseconds from now. */
const LEASE_ENDS = /^lease ends (\d{1,3}) (\d{1,8})$/;

/** Who is where, in Redis: a `Ledger` for each bucket. Alone, Redis has one bucket. */
export class RedisPresence implements PresenceStore {
  readonly #instance: Instance;
  readonly #tellAll: PresenceLink["tellAll"];
  readonly #buckets: Buckets;
  readonly #changes: Changes;
  readonly #holdings: Holdings;
  readonly roomsAsUser: RoomsAsUser;
  /** Who is told gone while this instance takes everything back. */
  #withdrawn: Transition[] | null = null;

  constructor(
    { scripts, listen, publish, tellAll }: PresenceLink,
    keys: Keys,
    instance: Instance,
    leaseMs: number,
  ) {
    this.#instance = instance;
    this.#tellAll = tellAll;
    this.roomsAsUser = new RoomsAsUser({
      instance,
      publish,
      ledgerOf: (user) => this.#buckets.ofUser(user).own,
    });
    this.#changes = new Changes(listen, leaseMs);
    const buckets = keys.buckets.map((own, index) => {
      const store = new RedisLedgerStore(scripts, own, leaseMs);
      const ledger = new Ledger(store, instance.id, leaseMs, {
        changed: (subject, came) => this.#raise(subject, came),
        emptied: () => this.#changes.emptied(),
        restoring: () => this.roomsAsUser.restore(this.#buckets.at(index).own),
        asUser: (change) => this.roomsAsUser.learn(change),
        madeAsUser: (change) => this.roomsAsUser.announce(change),
        report: (error) => instance.report(error, "presence"),
      });
      return { keys: own, own: ledger, reads: new Reads(scripts, own, leaseMs) };
    });
    this.#buckets = new Buckets(keys, buckets);
    this.#holdings = new Holdings(this.#buckets);
  }

  start(): void {
    for (const { own } of this.#buckets.all) own.lease.start();
  }

  stop(): void {
    for (const { own } of this.#buckets.all) own.stop();
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
          await this.#buckets.all[bucket]?.own.join(run);
        } catch (error) {
          if (!(error instanceof SlotInMotionError)) throw error;
        }
      }),
    );
    this.#changes.missed();
  }

  /** Takes what an instance told all others. Whether it was understood. */
  told(message: Buffer): boolean {
    const [, bucket, ms] = LEASE_ENDS.exec(message.toString()) ?? [];
    if (bucket === undefined) return false;
    this.#buckets.all[Number(bucket)]?.own.lease.otherEndsIn(Number(ms));
    return true;
  }

  // Writes

  async online(user: string, entry: PresenceEntry): Promise<Arrival> {
    const { own } = this.#buckets.ofUser(user);
    const outcome = await this.#add(own, ONLINE, user, this.#encode(entry));
    if (outcome?.type !== "member") return { first: false, rooms: [], version: 0 };
    return {
      first: outcome.changed === true,
      ...this.roomsAsUser.arrived(user, outcome.rooms),
    };
  }

  async offline(user: string): Promise<boolean> {
    this.roomsAsUser.forget(user);
    return isChange(await this.#remove(this.#buckets.ofUser(user).own, ONLINE, user));
  }

  async enter(room: string, user: string): Promise<boolean> {
    const [entered] = await Promise.all([
      this.#add(this.#buckets.ofRoom(room).own, roomPlace(room), user),
      this.#add(this.#buckets.ofUser(user).own, roomsPlace(user), room),
    ]);
    return isChange(entered);
  }

  async exit(room: string, user: string): Promise<boolean> {
    const [left] = await Promise.all([
      this.#remove(this.#buckets.ofRoom(room).own, roomPlace(room), user),
      this.#remove(this.#buckets.ofUser(user).own, roomsPlace(user), room),
    ]);
    return isChange(left);
  }

  async withdraw(graces: readonly Grace[] = []): Promise<readonly Transition[]> {
    this.#withdrawn = [];
    const kept = this.#idsOf(graces);
    const forMs = graces.reduce((longest, { leftMs }) => Math.max(longest, leftMs), 0);
    await Promise.all(
      this.#buckets.all.map(async ({ own }, bucket) => {
        const handed = await own.withdraw({ ids: kept.get(own) ?? NONE, forMs });
        // Who does not hear of it learns it from a beat, a little later.
        const text = `lease ends ${bucket} ${forMs.toFixed()}`;
        if (handed) await this.#tellAll(bucket, text).catch(() => {});
      }),
    );
    const transitions = this.#withdrawn;
    this.#withdrawn = null;
    this.#holdings.clear();
    return transitions;
  }

  joinAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.roomsAsUser.change(user, room, true);
  }

  leaveAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.roomsAsUser.change(user, room, false);
  }

  reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation> {
    return this.#holdings.reserve(user, connection, limit);
  }

  unreserve(user: string, connection: string): Promise<void> {
    return this.#holdings.unreserve(user, connection);
  }

  claim(connection: string): Promise<string | null> {
    return this.#holdings.claim(connection);
  }

  release(connection: string): Promise<void> {
    return this.#holdings.release(connection);
  }

  // Reads

  isOnline(user: string): Promise<boolean> {
    const bucket = this.#buckets.ofUser(user);
    return readFrom(bucket, ({ reads }) => reads.has(ONLINE, user));
  }

  async get(user: string): Promise<UserPresence> {
    const bucket = this.#buckets.ofUser(user);
    const found = await readFrom(bucket, ({ reads }) => reads.find(ONLINE, user));
    const instances = found.flatMap(({ instance, value }) => {
      const entry = decode(value);
      return entry === null ? [] : [{ instance, ...entry }];
    });
    return { online: instances.length > 0, instances };
  }

  async *onlineUsers(): AsyncGenerator<string> {
    for (const bucket of this.#buckets.all) yield* list(bucket, ONLINE);
  }

  async onlineCount(): Promise<number> {
    const counts = await Promise.all(this.#buckets.all.map((bucket) => count(bucket, ONLINE)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  roomUsers(room: string): AsyncIterable<string> {
    return list(this.#buckets.ofRoom(room), roomPlace(room));
  }

  roomUserCount(room: string): Promise<number> {
    return count(this.#buckets.ofRoom(room), roomPlace(room));
  }

  userRooms(user: string): AsyncIterable<string> {
    return list(this.#buckets.ofUser(user), roomsPlace(user));
  }

  locate(connection: string): Promise<string | null> {
    const bucket = this.#buckets.ofConnection(connection);
    return readFrom(bucket, ({ reads }) => reads.locate(connection));
  }

  /** An instance has a lease in every bucket; the first stands for all. */
  instances(): Promise<readonly string[]> {
    return readFrom(this.#buckets.at(0), ({ reads }) => reads.instances());
  }

  /** How many incarnations there are, as a bucket knows. */
  living(bucket: number): Promise<number> {
    return this.#buckets.at(bucket).reads.living();
  }

  watch(room: string | undefined, watcher: PresenceWatcher): Promise<() => void> {
    const buckets = room === undefined ? this.#buckets.all : [this.#buckets.ofRoom(room)];
    const place = room === undefined ? ONLINE : roomPlace(room);
    const sources = buckets.map(({ keys, reads }) => ({
      channel: keys.changes(place),
      lastTold: () => reads.lastTold(place),
    }));
    return this.#changes.watch(sources, watcher);
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

  /** What is stated of these users, in each ledger. */
  #idsOf(graces: readonly Grace[]): Map<Ledger, Set<string>> {
    const ids = new Map<Ledger, Set<string>>();
    const keep = ({ own }: Bucket, place: string, member: string): void => {
      const some = ids.get(own) ?? new Set();
      ids.set(own, some.add(recordId({ kind: "member", place, member })));
    };
    for (const { user, room } of graces) {
      if (room === undefined) keep(this.#buckets.ofUser(user), ONLINE, user);
      else {
        keep(this.#buckets.ofRoom(room), roomPlace(room), user);
        keep(this.#buckets.ofUser(user), roomsPlace(user), room);
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

const NONE: ReadonlySet<string> = new Set();

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
