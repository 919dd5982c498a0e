import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import { AsUserChanges, type Pending } from "./as-user-changes.ts";
import type { AsUserRecord, Outcome, Subject } from "./change.ts";
import { Lease } from "./lease.ts";
import {
  type Applied,
  type Batch,
  type Beat,
  type LedgerStore,
  StoreFullError,
} from "./ledger-store.ts";
import { type Record, Records } from "./records.ts";
import { settleRecord } from "./settling.ts";
import { type Removal, Sweeper } from "./sweeper.ts";
import { Waiting } from "./waiting.ts";

/** Changes in one batch: a few milliseconds of the service, so that others get a turn. */
const BATCH = 500;
/** In how much time everything is written again, so that what expires does not; in milliseconds. */
const REFRESH_MS = 86_400_000;
/** How long the last of what was written by a lost connection may take to be read by others; in milliseconds. */
const OVERLAP_MS = 60_000;

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

/** A batch that was sent. It is sent again, as it is, until the service says what it has come to. */
interface Flight extends Batch {
  readonly records: readonly Record[];
  readonly pending: readonly Pending[];
  readonly removal: Removal | null;
}

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
  readonly #sweeper: Sweeper;
  #flight: Flight | null = null;
  /** Whether the service takes batches, as far as is known. */
  #live = false;
  #full = false;
  /** Whether people were told so. */
  #wasFull = false;
  #stopped = false;
  #scheduled = false;
  #pumping = false;
  #catchingUp: PromiseWithResolvers | null = null;
  #toPrune = false;
  #pruning = false;
  /** Whether the service waits to hear that everything lost is there again. */
  #toComplete = false;
  /** From which version on changes of rooms as a user may have been missed; null: none were. */
  #toRead: number | null = null;
  #toRefresh = 0;
  #holdUntil = 0;
  #asking: NodeJS.Timeout | null = null;
  /** When the service was last heard of. */
  #heardAt: number = performance.now();
  /** The clock of the service, less that of this process; in milliseconds. */
  #offset: number = Date.now() - performance.now();

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
      queued: () => this.#schedule(),
      gone: (subject) => observer.changed(subject, false),
      failed: (error) => this.#failed(error),
    });
  }

  /** Beats on a new connection; `run` as in `Identity`, empty if nobody knows. Rejects as the store does. */
  join(run: string): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#catchingUp ??= withResolvers();
    this.#missed();
    return this.lease.join(run);
  }

  /** Waits until the service knows what it may have missed. */
  async complete(): Promise<void> {
    await this.#catchingUp?.promise;
  }

  /** Writes and beats no more. */
  stop(): void {
    this.#stopped = true;
    this.#live = false;
    this.lease.stop();
    if (this.#asking !== null) clearTimeout(this.#asking);
    this.#waiting.giveUp();
    this.#caughtUp();
  }

  /**
   * Makes the service agree with a record that was changed. Resolves to what that has come to; to null if the
   * service did not say so in time: it will be made to agree, and what it says then is told to the observer.
   */
  write(record: Record): Promise<Outcome | null> {
    record.waiter?.resolve(null);
    record.waiter = null;
    this.records.mark(record);
    if (!this.#live) return Promise.resolve(null);
    this.#schedule();
    return this.#waiting.join(record.wanted, (waiter) => {
      record.waiter = waiter;
    });
  }

  /** Changes the rooms of a user as a user. Resolves as `write` does. */
  changeAsUser(user: string, room: string, joined: boolean): Promise<Outcome | null> {
    // What cannot be made now is made as of now: a later change of somebody else's is not undone.
    const version = this.#live ? 0 : this.#versionNow();
    const pending = this.#asUser.add({ user, room, joined, version });
    if (!this.#live) return Promise.resolve(null);
    this.#schedule();
    return this.#waiting.join(joined, (waiter) => {
      pending.waiter = waiter;
    });
  }

  /** Tells the service again what is known of a user's rooms; what it knows better is not undone. */
  restoreAsUser(change: AsUserRecord): void {
    this.#asUser.restore(change);
  }

  /**
   * Takes everything back but the records of these ids; they stay for so many milliseconds, then others clear them away,
   * as they do what the service could not be told in time.
   */
  async withdraw({ ids, forMs }: Kept = NOTHING): Promise<void> {
    this.lease.stop();
    for (const record of [...this.records.values()]) {
      if (ids.has(record.id)) continue;
      record.wanted = false;
      this.records.mark(record);
    }
    this.#asUser.clear();
    let [left, since] = [this.records.size, performance.now()];
    while (this.#live && (!this.records.isClean || this.#flight !== null)) {
      this.#schedule();
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (this.records.size < left) [left, since] = [this.records.size, performance.now()];
      else if (performance.now() - since > GIVE_UP_MS) return;
    }
    if (!this.#live) return;
    const { incarnation } = this.lease.identity;
    try {
      if (this.records.size === 0) await this.#store.drop(incarnation, false);
      else if (ids.size > 0) await this.#store.lapse(incarnation, forMs);
    } catch (error) {
      this.#failed(error);
    }
    // A beat would renew the lease.
    if (ids.size > 0) this.stop();
  }

  // What the lease tells

  #beaten(beat: Beat): void {
    if (this.#stopped) return;
    this.#offset = beat.now - performance.now();
    this.#heardAt = performance.now();
    if (beat.unsureMs > 0) this.#hold(beat.unsureMs);
    else this.#release();
    this.#live = true;
    this.#full = false;
    this.#toRefresh += (this.records.size * this.lease.leaseMs) / 3 / REFRESH_MS;
    this.records.refresh(Math.floor(this.#toRefresh));
    this.#toRefresh %= 1;
    for (const { incarnation, buried } of beat.dead) {
      void this.#sweeper.sweep(incarnation, buried);
    }
    this.#schedule();
  }

  #emptied(last: Beat["last"]): void {
    this.#drop(last);
    this.#catchingUp ??= withResolvers();
    this.records.lost();
    this.#toPrune = true;
    this.#toComplete = true;
    this.#toRead = 0;
    const { buried } = this.#sweeper;
    if (buried.length > 0) this.#store.bury(buried).catch((error) => this.#failed(error));
    this.#observer.emptied();
    this.#observer.restoring();
  }

  #lapsed(last: Beat["last"]): void {
    this.#drop(last);
    this.#catchingUp ??= withResolvers();
    this.records.lapsed();
    this.#toPrune = false;
    this.#toRead = 0;
    this.#observer.restoring();
  }

  /** What was sent is not sent again, for it is none of this generation or life; what of it was taken is noted. */
  #drop(last: Beat["last"]): void {
    const flight = this.#flight;
    this.#flight = null;
    const gone = new BackplaneUnavailableError("It has begun anew.", "not-stored");
    flight?.removal?.reject(gone);
    this.#sweeper.rejectAll(gone);
    if (flight === null) return;
    if (last.number === flight.number) this.#settle(flight, last.outcomesOf(flight.changes));
    for (const record of flight.records) this.records.mark(record);
  }

  /** Who is new or gone is told when it is sure who else holds them; it is asked again whether that is so. */
  #hold(ms: number): void {
    this.#holdUntil = performance.now() + ms;
    if (this.#asking !== null) clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.lease.beatUnasked(), Math.min(ms, ASK_EVERY_MS)).unref();
  }

  #release(): void {
    this.#holdUntil = 0;
    this.records.unhold();
    this.#asUser.unhold();
  }

  // Batches

  /** Everything of one turn goes together. */
  #schedule(): void {
    if (this.#scheduled || this.#pumping || !this.#live) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    let rested = false;
    while (this.#live && !rested) {
      this.#flight ??= this.#take();
      if (this.#flight === null) rested = await this.#rest();
      else await this.#send(this.#flight);
    }
    this.#pumping = false;
    if (this.#hasWork) this.#schedule();
  }

  get #hasWork(): boolean {
    if (!this.#sweeper.isIdle) return true;
    return !this.#full && !(this.records.isClean && this.#asUser.isIdle);
  }

  #take(): Flight | null {
    const number = this.lease.confirmed + 1;
    const removal = this.#sweeper.next();
    if (removal !== undefined) {
      return {
        number,
        of: removal.of,
        changes: removal.changes,
        records: [],
        pending: [],
        removal,
      };
    }
    const holding = performance.now() < this.#holdUntil;
    const taken = this.records.take(BATCH, holding, this.#full);
    const pending = this.#full ? [] : this.#asUser.take(BATCH - taken.length);
    if (taken.length + pending.length === 0) return null;
    const asUser = pending.map(({ change }) => ({ type: "as-user", change }) as const);
    const changes = [...taken.map(({ change }) => change), ...asUser];
    const records = taken.map(({ record }) => record);
    return { number, of: null, changes, records, pending, removal: null };
  }

  async #send(flight: Flight): Promise<void> {
    const { session } = this.lease.identity;
    try {
      const applied = await this.#store.apply(this.lease.identity, flight);
      if (this.#flight !== flight) return;
      if (applied === "fenced") await this.lease.beat();
      else this.#answered(flight, applied);
    } catch (error) {
      // What was lost with an older connection has been sent again by now, or will be.
      if (this.#stopped || this.lease.identity.session !== session) return;
      if (error instanceof StoreFullError && this.#flight === flight) this.#refused(flight);
      else this.#lost(error);
    }
  }

  #answered(flight: Flight, applied: Exclude<Applied, "fenced">): void {
    this.#flight = null;
    this.lease.confirmed = flight.number;
    this.#wasFull &&= flight.changes.every(({ type }) => type === "remove");
    if (flight.removal !== null) flight.removal.resolve(applied);
    else if (applied !== "alive") this.#settle(flight, applied);
  }

  /** There is no room: what takes none goes first, and the rest waits for the next sign of life. */
  #refused(flight: Flight): void {
    this.#flight = null;
    this.#full = true;
    for (const record of flight.records) this.records.mark(record);
    this.#waiting.giveUp(({ adding }) => adding);
    if (this.#wasFull) return;
    this.#wasFull = true;
    const what = "There is no room left: others do not learn of users who come";
    this.#observer.report(new Error(`${what}, until there is.`));
  }

  /** What is left to do when everything is written. Whether that is done. */
  async #rest(): Promise<boolean> {
    try {
      if (this.#toPrune) this.#prune();
      if (this.#toRead !== null) {
        const since = this.#toRead;
        this.#toRead = null;
        for (const change of await this.#store.changedAsUser(since)) this.#observer.asUser(change);
        return false;
      }
    } catch (error) {
      this.#toRead = 0;
      this.#lost(error);
      return true;
    }
    if (this.#pruning) return true;
    if (this.#toComplete) {
      this.#toComplete = false;
      await this.#store.complete(this.lease.identity).catch((error) => this.#lost(error));
    }
    this.#caughtUp();
    return true;
  }

  /** Its removals go by way of batches, so it is not waited for here. */
  #prune(): void {
    this.#toPrune = false;
    this.#pruning = true;
    const { incarnation } = this.lease.identity;
    this.#sweeper
      .prune(incarnation, (subject) => this.records.get(subject) !== undefined)
      .catch((error) => {
        this.#toPrune = incarnation === this.lease.identity.incarnation;
        this.#failed(error);
      })
      .finally(() => {
        this.#pruning = false;
        this.#schedule();
      });
  }

  #caughtUp(): void {
    this.#catchingUp?.resolve();
    this.#catchingUp = null;
  }

  // Outcomes

  #settle(flight: Flight, outcomes: readonly Outcome[]): void {
    for (const [index, change] of flight.changes.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) continue;
      if (outcome.type === "failed") this.#observer.report(outcome.error);
      const record = flight.records[index];
      const pending = flight.pending[index - flight.records.length];
      if (record !== undefined)
        settleRecord(record, change, outcome, this.records, this.#waiting, this.#observer);
      else if (pending !== undefined) this.#settleAsUser(pending, outcome);
    }
  }

  #settleAsUser(pending: Pending, outcome: Outcome): void {
    if (outcome.type === "as-user" && outcome.changed === null) {
      pending.held = true;
      return;
    }
    this.#asUser.taken(pending, outcome.type === "as-user" ? outcome.version : 0);
    const { change, waiter } = pending;
    if (this.#waiting.has(waiter)) waiter.resolve(outcome);
    else if (outcome.type === "as-user" && outcome.changed) {
      this.#observer.madeAsUser({ ...change, version: outcome.version });
    }
  }

  // When the service does not answer

  /** It is tried again after the next sign of life. */
  #lost(error: unknown): void {
    this.#live = false;
    this.#missed();
    // Of what was sent nobody knows what became of it; who waits for that waits a little longer.
    if (!(error instanceof BackplaneUnavailableError && error.outcome === "unknown")) {
      this.#waiting.giveUp();
    }
    this.#failed(error);
  }

  /** What others changed of rooms as a user since the service was last heard of may not have come. */
  #missed(): void {
    const since = (this.#heardAt + this.#offset - OVERLAP_MS) * 1000;
    this.#toRead = Math.min(this.#toRead ?? since, since);
  }

  #failed(error: unknown): void {
    if (!(error instanceof BackplaneUnavailableError)) this.#observer.report(error);
  }

  #versionNow(): number {
    return Math.floor((performance.now() + this.#offset) * 1000);
  }
}

const NOTHING: Kept = { ids: new Set(), forMs: 0 };
/** How often it is asked whether all have written again what was lost, in milliseconds. */
const ASK_EVERY_MS = 250;
/** How long nothing may happen until taking back is given up, in milliseconds. */
const GIVE_UP_MS = 2500;

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  resolve(): void;
}

function withResolvers(): PromiseWithResolvers {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
