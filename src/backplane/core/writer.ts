import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { AsUserChanges, Pending } from "./as-user-changes.ts";
import type { CatchUp } from "./catch-up.ts";
import type { AsUserRecord, Outcome, Subject } from "./change.ts";
import type { Lease } from "./lease.ts";
import {
  type Applied,
  type Batch,
  type Beat,
  type LedgerStore,
  StoreFullError,
} from "./ledger-store.ts";
import type { Record, Records } from "./records.ts";
import { settleRecord } from "./settling.ts";
import type { Removal, Sweeper } from "./sweeper.ts";
import type { Waiting } from "./waiting.ts";

/** Changes in one batch: a few milliseconds of the service, so that others get a turn. */
const BATCH = 500;

/** What a writer writes, and whom it tells what that has come to. None of these may throw. */
export interface WriterHost {
  readonly store: LedgerStore;
  readonly lease: Lease;
  readonly records: Records;
  readonly asUserChanges: AsUserChanges;
  readonly waiting: Waiting;
  readonly sweeper: Sweeper;
  readonly catchUp: CatchUp;
  changed(subject: Subject, came: boolean): void;
  asUser(change: AsUserRecord): void;
  madeAsUser(change: AsUserRecord): void;
  report(error: unknown): void;
  /** The service does not answer. */
  lost(error: unknown): void;
}

/** A batch that was sent. It is sent again, as it is, until the service says what it has come to. */
interface Flight extends Batch {
  readonly records: readonly Record[];
  readonly pending: readonly Pending[];
  readonly removal: Removal | null;
}

/** Makes the service agree with what is stated, batch after batch, one at a time. */
export class Writer {
  readonly #host: WriterHost;
  #flight: Flight | null = null;
  /** Whether the service takes batches, as far as is known. */
  #live = false;
  #full = false;
  /** Whether people were told so. */
  #wasFull = false;
  #holding = false;
  #scheduled = false;
  #pumping = false;

  constructor(host: WriterHost) {
    this.#host = host;
  }

  /** Whether what is to be written now will be, as far as is known. */
  get isLive(): boolean {
    return this.#live;
  }

  /** Whether nothing is written, or waits for it. */
  get isIdle(): boolean {
    return this.#flight === null && this.#host.records.isClean;
  }

  /** The service is there. `holding`: nobody can tell for sure who is gone. */
  resume(holding: boolean): void {
    this.#live = true;
    this.#full = false;
    this.#holding = holding;
    this.schedule();
  }

  /** Nothing is written until it is resumed. */
  pause(): void {
    this.#live = false;
  }

  /** What was sent is not sent again, for it is none of this generation or life; what of it was taken is noted. */
  drop(last: Beat["last"]): void {
    const flight = this.#flight;
    this.#flight = null;
    const gone = new BackplaneUnavailableError("It has begun anew.", "not-stored");
    flight?.removal?.reject(gone);
    this.#host.sweeper.rejectAll(gone);
    if (flight === null) return;
    if (last.number === flight.number) this.#settle(flight, last.outcomesOf(flight.changes));
    for (const record of flight.records) this.#host.records.mark(record);
  }

  /** Everything of one turn goes together. */
  schedule(): void {
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
      if (this.#flight === null) rested = await this.#host.catchUp.rest();
      else await this.#send(this.#flight);
    }
    this.#pumping = false;
    if (this.#hasWork) this.schedule();
  }

  get #hasWork(): boolean {
    const { sweeper, records, asUserChanges } = this.#host;
    if (!sweeper.isIdle) return true;
    return !this.#full && !(records.isClean && asUserChanges.isIdle);
  }

  #take(): Flight | null {
    const { sweeper, records, asUserChanges, lease } = this.#host;
    const number = lease.confirmed + 1;
    const removal = sweeper.next();
    if (removal !== undefined) {
      const { of, changes } = removal;
      return { number, of, changes, records: [], pending: [], removal };
    }
    const taken = records.take(BATCH, this.#holding, this.#full);
    const pending = this.#full ? [] : asUserChanges.take(BATCH - taken.length);
    if (taken.length + pending.length === 0) return null;
    const asUser = pending.map(({ change }) => ({ type: "as-user", change }) as const);
    const changes = [...taken.map(({ change }) => change), ...asUser];
    const written = taken.map(({ record }) => record);
    return { number, of: null, changes, records: written, pending, removal: null };
  }

  async #send(flight: Flight): Promise<void> {
    const { store, lease, lost } = this.#host;
    const { session } = lease.identity;
    try {
      const applied = await store.apply(lease.identity, flight);
      if (this.#flight !== flight) return;
      if (applied === "fenced") await lease.beat();
      else this.#answered(flight, applied);
    } catch (error) {
      // What was lost with an older connection has been sent again by now, or will be.
      if (!this.#live || lease.identity.session !== session) return;
      if (error instanceof StoreFullError && this.#flight === flight) this.#refused(flight);
      else lost(error);
    }
  }

  #answered(flight: Flight, applied: Exclude<Applied, "fenced">): void {
    this.#flight = null;
    this.#host.lease.confirmed = flight.number;
    this.#wasFull &&= flight.changes.every(({ type }) => type === "remove");
    if (flight.removal !== null) flight.removal.resolve(applied);
    else if (applied !== "alive") this.#settle(flight, applied);
  }

  /** There is no room: what takes none goes first, and the rest waits for the next sign of life. */
  #refused(flight: Flight): void {
    const { records, asUserChanges, waiting, report } = this.#host;
    this.#flight = null;
    this.#full = true;
    for (const record of flight.records) records.mark(record);
    asUserChanges.postpone();
    waiting.giveUp(({ adding }) => adding);
    if (this.#wasFull) return;
    this.#wasFull = true;
    const what = "There is no room left: others do not learn of users who come";
    report(new Error(`${what}, until there is.`));
  }

  #settle(flight: Flight, outcomes: readonly Outcome[]): void {
    const { records, waiting, report } = this.#host;
    for (const [index, change] of flight.changes.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) continue;
      if (outcome.type === "failed") report(outcome.error);
      const record = flight.records[index];
      const pending = flight.pending[index - flight.records.length];
      if (record !== undefined) {
        settleRecord(record, change, outcome, records, waiting, this.#host);
      } else if (pending !== undefined && change.type === "as-user") {
        this.#settleAsUser(pending, change.change.version, outcome);
      }
    }
  }

  /** `sent`: its version, as it was sent. */
  #settleAsUser(pending: Pending, sent: number, outcome: Outcome): void {
    const { asUserChanges, waiting, madeAsUser } = this.#host;
    if (outcome.type === "as-user" && outcome.changed === null) {
      pending.held = true;
      return;
    }
    asUserChanges.taken(pending, outcome.type === "as-user" ? outcome.version : 0);
    const { change, waiter } = pending;
    if (waiting.has(waiter)) waiter.resolve(outcome);
    // Others may have been told of what came before it, though the service was not.
    else if (outcome.type === "as-user" && outcome.version > 0 && isTaken(sent, outcome.version)) {
      madeAsUser({ ...change, version: outcome.version });
    }
  }
}

/** Whether a change of a user's rooms holds: there was no later one. */
function isTaken(sent: number, version: number): boolean {
  return sent === 0 || sent === version;
}
