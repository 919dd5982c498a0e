import type { Change, Outcome, Subject } from "./change.ts";
import type { LedgerStore } from "./ledger-store.ts";

/** Records that are to be removed: those of a dead incarnation, or what of an own one should not be there. */
export interface Removal {
  readonly of: string;
  readonly changes: readonly Change[];
  resolve(applied: readonly Outcome[] | "alive"): void;
  reject(reason: unknown): void;
}

/** What a sweeper needs of its ledger. None of these may throw. */
export interface SweeperHost {
  /** There is a removal to be made. */
  queued(): void;
  gone(subject: Subject): void;
  failed(error: unknown): void;
}

/** Removes what the dead have left, a page at a time, in the order of the ledger's own batches. */
export class Sweeper {
  readonly #store: LedgerStore;
  readonly #host: SweeperHost;
  readonly #queue: Removal[] = [];
  readonly #sweeping: Set<string> = new Set();
  /** Dead incarnations that were cleared away here. */
  readonly #buried: Set<string> = new Set();

  constructor(store: LedgerStore, host: SweeperHost) {
    this.#store = store;
    this.#host = host;
  }

  get buried(): readonly string[] {
    return [...this.#buried];
  }

  get isIdle(): boolean {
    return this.#queue.length === 0;
  }

  /** The next removal; it MUST be resolved or rejected. */
  next(): Removal | undefined {
    return this.#queue.shift();
  }

  /** Nothing that is queued can be made. */
  rejectAll(reason: unknown): void {
    for (const { reject } of this.#queue.splice(0)) reject(reason);
  }

  /** Removes what is stored of an own incarnation and not `kept`: everybody was told so when it went. */
  async prune(incarnation: string, kept: (subject: Subject) => boolean): Promise<void> {
    for await (const subjects of this.#store.stored(incarnation)) {
      const stale = subjects.filter((subject) => !kept(subject));
      if (stale.length > 0) await this.#remove(incarnation, stale);
    }
  }

  /**
   * Clears away what a dead incarnation holds, and tells of those who are gone with it; not if they were told
   * gone before (`buried`).
   */
  async sweep(incarnation: string, buried: boolean): Promise<void> {
    if (this.#sweeping.has(incarnation)) return;
    this.#sweeping.add(incarnation);
    try {
      for await (const subjects of this.#store.stored(incarnation)) {
        const outcomes = await this.#remove(incarnation, subjects);
        if (outcomes === "alive") return;
        for (const [index, outcome] of outcomes.entries()) {
          const subject = subjects[index];
          const gone = outcome.type === "member" && outcome.changed === true && !buried;
          if (gone && subject !== undefined) this.#host.gone(subject);
        }
      }
      await this.#store.drop(incarnation, true);
      this.#buried.add(incarnation);
    } catch (error) {
      this.#host.failed(error);
    } finally {
      this.#sweeping.delete(incarnation);
    }
  }

  #remove(of: string, subjects: readonly Subject[]): Promise<readonly Outcome[] | "alive"> {
    const changes = subjects.map((subject) => ({ type: "remove", subject }) as const);
    return new Promise((resolve, reject) => {
      this.#queue.push({ of, changes, resolve, reject });
      this.#host.queued();
    });
  }
}
