import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { Instance } from "../backplane.ts";
import type { Arrival, AsUserChange, Transition } from "../presence-store.ts";
import { type BucketKeys, ONLINE } from "./bucket-keys.ts";
import { Claims } from "./claims.ts";
import { Holdings } from "./holdings.ts";
import { Lease } from "./lease.ts";
import { type Entry, Memberships, StillAlive } from "./memberships.ts";
import { Owed } from "./owed.ts";
import { pipelined } from "./pipeline.ts";
import { RedisReservations } from "./redis-reservations.ts";
import { RoomsAsUser } from "./rooms-as-user.ts";
import { inTime, type Scripts } from "./scripts.ts";

const AT_A_TIME = 500;

/** What has to be written again, and how. */
interface Rebuild {
  /** Others count this one as dead: it is cleared away first, and all is told that happens. */
  readonly lapsed: string | null;
  /** What is stored is older than what was written: some of it may be there no more here. */
  readonly reverted: boolean;
}

/**
 * What this instance tells Redis, and tells it again when it must. All of it is the instance's own, as
 * long as its lease lasts (`Lease`); after that others clear it away (`Memberships.sweep`).
 *
 * What could not be written is owed, and made up for after the next heartbeat. A Redis that came back
 * empty, or lost the last of what was written, is told everything again, in silence; after a lapsed lease
 * everything is told again as new.
 */
export class Registration {
  readonly lease: Lease;
  readonly claims: Claims;
  readonly reservations: RedisReservations;
  readonly #keys: BucketKeys;
  readonly #instance: Instance;
  readonly #memberships: Memberships;
  readonly #roomsAsUser: RoomsAsUser;
  readonly #owed: Owed = new Owed();
  readonly #holdings: Holdings = new Holdings();
  readonly #sweeping: Set<string> = new Set();
  #rebuild: Rebuild | null = null;
  #catchingUp: Promise<void> | null = null;

  /** `emptied`: Redis is empty, and is being told everything again. */
  constructor(
    scripts: Scripts,
    keys: BucketKeys,
    instance: Instance,
    leaseMs: number,
    emptied: () => void,
  ) {
    this.#keys = keys;
    this.#instance = instance;
    this.lease = new Lease(scripts, keys, instance.id, leaseMs, {
      kept: () => this.#catchUp(this.#rebuild),
      emptied: () => {
        emptied();
        this.#catchUp({ lapsed: null, reverted: false });
      },
      reverted: () => this.#catchUp({ lapsed: null, reverted: true }),
      lapsed: (before) => this.#catchUp({ lapsed: before, reverted: false }),
      expired: (incarnations) => {
        for (const incarnation of incarnations) void this.#clearAway(incarnation);
      },
      failed: (error) => instance.report(error, "presence"),
    });
    this.#memberships = new Memberships(scripts, keys, this.lease);
    this.#roomsAsUser = new RoomsAsUser(scripts, keys, leaseMs);
    this.claims = new Claims(scripts, keys, this.lease, this.#owed);
    this.reservations = new RedisReservations(scripts, keys, this.lease, this.#owed);
  }

  /** Waits until Redis has been told everything, no longer than a call may take. */
  async complete(): Promise<void> {
    if (this.#catchingUp !== null) await inTime(this.#catchingUp);
  }

  /** Whether the first of them came: nobody else held it. */
  async enter(entries: readonly Entry[]): Promise<boolean> {
    for (const entry of entries) this.#holdings.put(entry);
    const came = await this.lease.write(() => this.#memberships.enter(entries));
    for (const entry of entries) {
      if (came === null) this.#owe(entry);
      else this.#confirm(entry);
    }
    return came?.[0] ?? true;
  }

  async exit(entries: readonly Entry[]): Promise<boolean> {
    for (const entry of entries) this.#holdings.remove(entry);
    const went = await this.lease.write(() => this.#memberships.exit(entries));
    for (const entry of entries) {
      if (went === null) this.#owe(entry);
      else this.#owed.settle(subject(entry));
    }
    return went?.[0] ?? true;
  }

  joinAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.#changeAsUser(user, room, () => this.#roomsAsUser.join(user, room));
  }

  leaveAsUser(user: string, room: string): Promise<AsUserChange> {
    return this.#changeAsUser(user, room, () => this.#roomsAsUser.leave(user, room));
  }

  /** The rooms the user is in as a user; none while Redis is away. */
  async roomsAsUser(user: string): Promise<Pick<Arrival, "rooms" | "version">> {
    return (await this.lease.write(() => this.#roomsAsUser.of(user))) ?? { rooms: [], version: 0 };
  }

  /** Takes back everything; answers the transitions that made. */
  async withdraw(): Promise<readonly Transition[]> {
    this.lease.stop();
    const entries = [...this.#holdings.entries()];
    this.#holdings.clear();
    this.#owed.clear();
    this.claims.clear();
    this.reservations.clear();
    const gone: Entry[] = [];
    const { incarnation, owner } = this.lease;
    const done = await this.lease.write(async () => {
      await this.#memberships.exitAll(entries, (entry, went) => {
        if (went) gone.push(entry);
      });
      await this.#forget(incarnation, owner);
      return true;
    });
    // Redis is away: others clear this up when the lease ends. As far as this instance knows, all are gone.
    return (done === null ? entries : gone).flatMap((entry) => transitionOf(entry, false) ?? []);
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
      return done;
    });
  }

  async #changeAsUser(
    user: string,
    room: string,
    write: () => Promise<AsUserChange>,
  ): Promise<AsUserChange> {
    const change = await this.lease.write(write);
    if (change === null) this.#oweAsUser(user, room);
    else this.#owed.settle(`as user ${user}\n${room}`);
    return change ?? { changed: this.#holdings.has(this.#keys.online(), user), version: 0 };
  }

  #oweAsUser(user: string, room: string): void {
    this.#owed.add(`as user ${user}\n${room}`, () => {
      const joined = [...this.#instance.roomsAsUser(user)].includes(room);
      return joined ? this.#roomsAsUser.join(user, room) : this.#roomsAsUser.leave(user, room);
    });
  }

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
        if (rebuild.reverted) await this.#prune();
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
    await this.claims.register();
    await this.reservations.register();
  }

  /** Removes what has come back that this instance had removed. */
  async #prune(): Promise<void> {
    await this.#memberships.prune(({ place, member }) => this.#holdings.has(place, member));
    await this.claims.sweep(this.lease.incarnation);
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
    await this.claims.sweep(incarnation);
    await this.reservations.sweep(incarnation);
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
