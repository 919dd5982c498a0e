import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import { AsUserChanges } from "./as-user-changes.ts";
import { CatchUp } from "./catch-up.ts";
import type { AsUserRecord, Outcome, Subject } from "./change.ts";
import { Lease } from "./lease.ts";
import type { Beat, LedgerStore } from "./ledger-store.ts";
import { type Record, Records } from "./records.ts";
import { ServiceClock } from "./service-clock.ts";
import { Sweeper } from "./sweeper.ts";
import { Waiting } from "./waiting.ts";
import { Writer } from "./writer.ts";

/** In how much time everything is written again, so that what expires does not; in milliseconds. */
const REFRESH_MS = 86_400_000;
/** How often it is asked whether all have written again what was lost, in milliseconds. */
const ASK_EVERY_MS = 250;
/** How long nothing may happen until taking back is given up, in milliseconds. */
const GIVE_UP_MS = 2500;

/** Whom a ledger tells what it finds out. None of these may throw. */
export interface LedgerObserver {
  /** A member is new to a place, or gone from it, and nobody waited to hear so. */
  changed(subject: Subject, came: boolean): void;
  /** The service may have lost what it was told, and is told it again. */
  emptied(): void;
  /** What is known of the rooms of users as users is to be told again, too. */
  restoring(): void;
  /** What holds of a room of a user as a user; it may be known. */
  asUser(change: AsUserRecord): void;
  /** The service has taken such a change late: others have not been told of it. */
  madeAsUser(change: AsUserRecord): void;
  report(error: unknown): void;
}

/** Records that stay when everything else is taken back, and for how long, in milliseconds. */
export interface Kept {
  readonly ids: ReadonlySet<string>;
  readonly forMs: number;
}

const NOTHING: Kept = { ids: new Set(), forMs: 0 };

/**
 * Everything an instance states in the cluster, as its own, under a lease that it renews: the service is made to
 * agree with it, batch after batch, one at a time. A batch is numbered and made once, however often it is sent, so
 * that each transition is told once; one of an earlier session, generation or life is refused. Whatever happens to the
 * service, emptied, rolled back or taken for dead, means the same: everything is written again, and what is there and
 * should not be is removed.
 *
 * What the service has not confirmed is not told; it is told when it has.
 */
export class Ledger {
  readonly lease: Lease;
  readonly records: Records = new Records();
  readonly #store: LedgerStore;
  readonly #observer: LedgerObserver;
  readonly #asUser: AsUserChanges = new AsUserChanges();
  readonly #waiting: Waiting = new Waiting();
  readonly #clock: ServiceClock = new ServiceClock();
  readonly #sweeper: Sweeper;
  readonly #catchUp: CatchUp;
  readonly #writer: Writer;
  #stopped = false;
  #toRefresh = 0;
  /** The highest version that a change of a user's rooms was asked for with. */
  #lastAsked = 0;
  #asking: NodeJS.Timeout | null = null;

  constructor(store: LedgerStore, instance: string, leaseMs: number, observer: LedgerObserver) {
    this.#store = store;
    this.#observer = observer;
    this.lease = new Lease(store, instance, leaseMs, {
      beaten: (beat) => this.#beaten(beat),
      emptied: (last) => this.#emptied(last),
      lapsed: (last) => this.#lapsed(last),
      failed: (error) => observer.report(error),
    });
    this.#sweeper = new Sweeper(store, {
      queued: () => this.#writer.schedule(),
      gone: (subject) => observer.changed(subject, false),
      failed: (error) => this.#failed(error),
    });
    const { lease, records } = this;
    const parts = { store, lease, records, sweeper: this.#sweeper, waiting: this.#waiting };
    const told = {
      changed: (subject: Subject, came: boolean) => observer.changed(subject, came),
      asUser: (change: AsUserRecord) => observer.asUser(change),
      madeAsUser: (change: AsUserRecord) => observer.madeAsUser(change),
      report: (error: unknown) => observer.report(error),
      failed: (error: unknown) => this.#failed(error),
      lost: (error: unknown) => this.#lost(error),
    };
    this.#catchUp = new CatchUp({
      ...parts,
      ...told,
      states: (subject) => records.get(subject) !== undefined,
      pruned: () => this.#writer.schedule(),
    });
    const asUserChanges = this.#asUser;
    this.#writer = new Writer({ ...parts, ...told, asUserChanges, catchUp: this.#catchUp });
  }

  /** Beats on a new connection; `run` as in `Identity`, empty if nobody knows. Rejects as the store does. */
  join(run: string): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#catchUp.begin();
    this.#catchUp.missed(this.#clock.missedFrom);
    return this.lease.join(run);
  }

  /** Waits until the service knows what it may have missed. */
  complete(): Promise<void> {
    return this.#catchUp.done();
  }

  /** Writes and beats no more. */
  stop(): void {
    this.#stopped = true;
    this.#writer.pause();
    this.lease.stop();
    if (this.#asking !== null) clearTimeout(this.#asking);
    this.#waiting.giveUp();
    this.#catchUp.end();
  }

  /**
   * Makes the service agree with a record that was changed. Resolves to what that has come to; to null if the
   * service did not say so in time: it will be made to agree, and what it says then is told to the observer.
   */
  write(record: Record): Promise<Outcome | null> {
    record.waiter?.resolve(null);
    record.waiter = null;
    this.records.mark(record);
    if (!this.#writer.isLive) return Promise.resolve(null);
    this.#writer.schedule();
    return this.#waiting.join(record.wanted, (waiter) => {
      record.waiter = waiter;
    });
  }

  /**
   * Changes the rooms of a user as a user, after all of their changes up to a version. `outcome` resolves as `write`
   * does; what cannot be made now is made as of now (`askedAt`): a later change of somebody else's is not undone.
   */
  changeAsUser(
    user: string,
    room: string,
    joined: boolean,
    after: number,
  ): { askedAt: number; outcome: Promise<Outcome | null> } {
    const askedAt = Math.max(this.#clock.version, after + 1, this.#lastAsked + 1);
    this.#lastAsked = askedAt;
    const { isLive } = this.#writer;
    const change = { user, room, joined, version: isLive ? 0 : askedAt };
    const pending = this.#asUser.add(change, askedAt);
    if (!isLive) return { askedAt, outcome: Promise.resolve(null) };
    this.#writer.schedule();
    const waiting = this.#waiting.join(joined, (waiter) => {
      pending.waiter = waiter;
    });
    const outcome = waiting.then((found) => {
      if (found === null) this.#asUser.postpone();
      return found;
    });
    return { askedAt, outcome };
  }

  /** Tells the service again what is known of a user's rooms; what it knows better is not undone. */
  restoreAsUser(change: AsUserRecord): void {
    this.#asUser.restore(change);
  }

  /**
   * Takes everything back but the records of these ids; they stay for so many milliseconds, then others clear them away,
   * as they do what the service could not be told in time. Whether there are any, under a lease that ends then: the others
   * learn of it at their next beat, or sooner if they are told (`Lease.otherEndsIn`).
   */
  async withdraw({ ids, forMs }: Kept = NOTHING): Promise<boolean> {
    this.lease.stop();
    for (const record of [...this.records.values()]) {
      if (ids.has(record.id)) continue;
      record.wanted = false;
      this.records.mark(record);
    }
    this.#asUser.clear();
    let [left, since] = [this.records.size, performance.now()];
    while (this.#writer.isLive && !this.#writer.isIdle) {
      this.#writer.schedule();
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (this.records.size < left) [left, since] = [this.records.size, performance.now()];
      else if (performance.now() - since > GIVE_UP_MS) return false;
    }
    if (!this.#writer.isLive) return false;
    const { incarnation } = this.lease.identity;
    const hands = this.records.size > 0 && ids.size > 0;
    let handed = false;
    try {
      if (this.records.size === 0) await this.#store.drop(incarnation, false);
      else if (hands) {
        await this.#store.lapse(incarnation, forMs);
        handed = true;
      }
    } catch (error) {
      this.#failed(error);
    }
    // A beat would renew the lease.
    if (ids.size > 0) this.stop();
    return handed;
  }

  // What the lease tells

  #beaten(beat: Beat): void {
    if (this.#stopped) return;
    this.#clock.heard(beat.now);
    const isUnsure = beat.unsureMs > 0;
    if (isUnsure) this.#askIn(Math.min(beat.unsureMs, ASK_EVERY_MS));
    else {
      this.records.unhold();
      this.#asUser.unhold();
    }
    this.#toRefresh += (this.records.size * this.lease.leaseMs) / 3 / REFRESH_MS;
    this.records.refresh(Math.floor(this.#toRefresh));
    this.#toRefresh %= 1;
    for (const { incarnation, buried } of beat.dead) {
      void this.#sweeper.sweep(incarnation, buried);
    }
    this.#writer.resume(isUnsure);
  }

  #emptied(last: Beat["last"]): void {
    this.#writer.drop(last);
    this.#asUser.postpone();
    this.#catchUp.emptied();
    this.records.lost();
    const { buried } = this.#sweeper;
    if (buried.length > 0) this.#store.bury(buried).catch((error) => this.#failed(error));
    this.#observer.emptied();
    this.#observer.restoring();
  }

  #lapsed(last: Beat["last"]): void {
    this.#writer.drop(last);
    this.#asUser.postpone();
    this.#catchUp.lapsed();
    this.records.lapsed();
    this.#observer.restoring();
  }

  /** Who is new or gone is told when it is sure who else holds them; it is asked again whether that is so. */
  #askIn(ms: number): void {
    if (this.#asking !== null) clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.lease.beatUnasked(), ms).unref();
  }

  // When the service does not answer

  /** It is tried again after the next sign of life. */
  #lost(error: unknown): void {
    this.#writer.pause();
    this.#asUser.postpone();
    this.#catchUp.missed(this.#clock.missedFrom);
    // Of what was sent nobody knows what became of it; who waits for that waits a little longer.
    if (!(error instanceof BackplaneUnavailableError && error.outcome === "unknown")) {
      this.#waiting.giveUp();
    }
    this.#failed(error);
  }

  #failed(error: unknown): void {
    if (!(error instanceof BackplaneUnavailableError)) this.#observer.report(error);
  }
}
