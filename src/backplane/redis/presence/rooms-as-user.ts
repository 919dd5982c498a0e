import type { Instance } from "../../contract/backplane.ts";
import type { Broker, MembershipPacket } from "../../contract/broker.ts";
import type { AsUserChange } from "../../contract/presence-store.ts";
import { type AsUserRecord, ONLINE, type Subject } from "../../core/change.ts";
import type { Ledger } from "../../core/ledger.ts";
import { inTime } from "../net/run.ts";
import { AsUserRooms } from "./as-user-rooms.ts";

/** How long an outage may go unnoticed, and the longest pause until the next attempt to connect; in milliseconds. */
const RECENT_MS = 10_000;

export interface RoomsAsUserHost {
  readonly instance: Pick<Instance, "receive" | "roomsAsUser">;
  readonly publish: Broker["publish"];
  /** Where what is stated of a user is kept. */
  ledgerOf(user: string): Ledger;
}

/**
 * The rooms users are in as users, as this instance knows them. Nobody owns them: the change with the highest version
 * holds. What it missed it learns when it is connected again, and what it changed late it tells others.
 */
export class RoomsAsUser {
  readonly #host: RoomsAsUserHost;
  readonly #known: AsUserRooms = new AsUserRooms();
  /** Changes that this instance made a moment ago, and when: others may not have been told. */
  readonly #recent: Map<AsUserRecord, number> = new Map();

  /** `<user>\n<room>` → the last change that was asked for. */
  readonly #last: Map<string, Promise<AsUserChange>> = new Map();

  constructor(host: RoomsAsUserHost) {
    this.#host = host;
  }

  /** After those of the same room that were asked for before: each is told by itself what it has come to. */
  change(user: string, room: string, joined: boolean): Promise<AsUserChange> {
    const key = `${user}\n${room}`;
    const before = this.#last.get(key);
    const change =
      before === undefined
        ? this.#change(user, room, joined)
        : before.then(() => this.#change(user, room, joined));
    const done = change.finally(() => {
      if (this.#last.get(key) === done) this.#last.delete(key);
    });
    this.#last.set(key, done);
    if (before === undefined) return done;
    // In time also where the service does not answer to any of them.
    const late = { changed: false, version: 0, holders: null };
    return inTime(done).catch(() => late);
  }

  /** Others are told all the same, with the version it has if nobody knows better. */
  #unanswered(change: AsUserRecord): AsUserChange {
    this.note(change);
    return { changed: this.#holds(change.user), version: change.version, holders: null };
  }

  async #change(user: string, room: string, joined: boolean): Promise<AsUserChange> {
    const after = this.#known.highest(user);
    const ledger = this.#host.ledgerOf(user);
    const change = ledger.changeAsUser(user, room, joined, after);
    const outcome = await change.outcome;
    if (outcome?.type !== "as-user") {
      return this.#unanswered({ user, room, joined, version: change.askedAt });
    }
    const { version, holders } = outcome;
    const changed = outcome.changed === true;
    this.note({ user, room, joined, version });
    if (changed) this.#remember({ user, room, joined, version });
    return { changed, version, holders };
  }

  /** The user came online here, and these are their rooms. Answers those they are in by now. */
  arrived(user: string, rooms: readonly AsUserRecord[]): { rooms: string[]; version: number } {
    for (const change of rooms) this.#known.note(change);
    return {
      rooms: rooms.flatMap(({ room }) => (this.#known.isJoined(user, room) ? [room] : [])),
      version: this.#known.highest(user),
    };
  }

  forget(user: string): void {
    this.#known.forget(user);
  }

  /**
   * Takes note of a change that another instance has made. Answers the version under which it is the latest this
   * instance knows; null if it is not.
   */
  note(change: AsUserRecord): number | null {
    const { user } = change;
    if (!this.#holds(user)) return change.version;
    return this.#known.note(change) ? this.#known.highest(user) : null;
  }

  /** What holds, and may have been missed: the instance is told as it would have been. */
  learn(change: AsUserRecord): void {
    const { user } = change;
    if (!this.#holds(user) || this.#known.has(change)) return;
    const version = this.note(change);
    if (version === null) return;
    this.#host.instance.receive(`user:${user}`, toPacket({ ...change, version }));
  }

  /** Tells others of a change that was made late. */
  announce(change: AsUserRecord): void {
    this.#remember(change);
    void this.#host.publish(`user:${change.user}`, toPacket(change));
  }

  /** Messages flow again. */
  connected(): void {
    this.#forgetRecent();
    for (const change of [...this.#recent.keys()]) this.announce(change);
  }

  /** What this instance knows of the users of a ledger, the service may not know any more. */
  restore(ledger: Ledger): void {
    for (const { subject, wanted } of ledger.records.values()) {
      if (!wanted || subject.kind !== "member" || subject.place !== ONLINE) continue;
      const user = subject.member;
      const known = [...this.#known.of(user)];
      for (const change of known) ledger.restoreAsUser(change);
      for (const room of this.#host.instance.roomsAsUser(user)) {
        if (known.some((change) => change.room === room)) continue;
        // Nobody knows since when; whoever does knows better.
        ledger.restoreAsUser({ user, room, joined: true, version: 1 });
      }
    }
  }

  #holds(user: string): boolean {
    const online: Subject = { kind: "member", place: ONLINE, member: user };
    return this.#host.ledgerOf(user).records.get(online)?.wanted ?? false;
  }

  /** It is told again when messages flow after an outage: it may be lost with what was sent at its beginning. */
  #remember(change: AsUserRecord): void {
    this.#forgetRecent();
    this.#recent.set(change, performance.now());
  }

  #forgetRecent(): void {
    const old = performance.now() - RECENT_MS;
    for (const [change, madeAt] of this.#recent) {
      if (madeAt > old) return;
      this.#recent.delete(change);
    }
  }
}

function toPacket({ joined, room, version }: AsUserRecord): MembershipPacket {
  return { type: joined ? "join" : "leave", room, version };
}
