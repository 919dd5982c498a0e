import type { AsUserRecord, Subject } from "./change.ts";
import type { Lease } from "./lease.ts";
import type { LedgerStore } from "./ledger-store.ts";
import type { Sweeper } from "./sweeper.ts";

/** What catching up needs of its ledger. None of these may throw. */
export interface CatchUpHost {
  readonly store: LedgerStore;
  readonly lease: Lease;
  readonly sweeper: Sweeper;
  /** Whether this instance states that. */
  states(subject: Subject): boolean;
  /** What holds of a room of a user as a user; it may be known. */
  asUser(change: AsUserRecord): void;
  /** There may be more to do by now. */
  pruned(): void;
  failed(error: unknown): void;
  /** The service does not answer. */
  lost(error: unknown): void;
}

/**
 * What is left to do after an outage when everything is written again: what is stored of an earlier time is removed, what
 * others changed meanwhile is read, and the service is told that it has everything.
 */
export class CatchUp {
  readonly #host: CatchUpHost;
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;
  #toPrune = false;
  #pruning = false;
  /** Whether the service waits to hear that everything lost is there again. */
  #toComplete = false;
  /** From which version on changes of rooms as a user may have been missed; null: none were. */
  #toRead: number | null = null;

  constructor(host: CatchUpHost) {
    this.#host = host;
  }

  /** Resolves when there is nothing to catch up with. */
  async done(): Promise<void> {
    await this.#waiting?.promise;
  }

  /** Something is to be caught up with. */
  begin(): void {
    this.#waiting ??= withResolvers();
  }

  /** What others changed of rooms as a user since a version may not have come. */
  missed(since: number): void {
    this.#toRead = Math.min(this.#toRead ?? since, since);
  }

  /** The service may have lost what it was told, and is told it again. */
  emptied(): void {
    this.begin();
    this.#toPrune = true;
    this.#toComplete = true;
    this.#toRead = 0;
  }

  /** Nothing is stored of the new incarnation. */
  lapsed(): void {
    this.begin();
    this.#toPrune = false;
    this.#toRead = 0;
  }

  /** Nobody is kept waiting. */
  end(): void {
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  /** Does what is left when everything is written. Whether that is done. */
  async rest(): Promise<boolean> {
    const { store, lease, lost } = this.#host;
    try {
      if (this.#toPrune) this.#prune();
      if (this.#toRead !== null) {
        const since = this.#toRead;
        this.#toRead = null;
        for (const change of await store.changedAsUser(since)) this.#host.asUser(change);
        return false;
      }
    } catch (error) {
      this.#toRead = 0;
      lost(error);
      return true;
    }
    if (this.#pruning) return true;
    if (this.#toComplete) {
      this.#toComplete = false;
      await store.complete(lease.identity).catch(lost);
    }
    this.end();
    return true;
  }

  /** Its removals go by way of batches, so it is not waited for here. */
  #prune(): void {
    this.#toPrune = false;
    this.#pruning = true;
    const { lease, sweeper, states } = this.#host;
    const { incarnation } = lease.identity;
    sweeper
      .prune(incarnation, states)
      .catch((error) => {
        this.#toPrune = incarnation === lease.identity.incarnation;
        this.#host.failed(error);
      })
      .finally(() => {
        this.#pruning = false;
        this.#host.pruned();
      });
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
