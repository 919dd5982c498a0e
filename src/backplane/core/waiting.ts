import type { Outcome } from "./change.ts";

/** How long a call may wait for the service, in milliseconds, and how often it is looked who has. */
const DEADLINE_MS = 2500;
const LOOK_EVERY_MS = 100;

/** Somebody who waits for what a change has come to. */
export interface Waiter {
  /** Whether the change adds something, or removes it. */
  readonly adding: boolean;
  readonly since: number;
  resolve(outcome: Outcome | null): void;
}

/** Those who wait for the service, the oldest first: nobody waits for longer than a call may take. */
export class Waiting {
  readonly #waiters: Set<Waiter> = new Set();
  #timer: NodeJS.Timeout | null = null;

  /** Resolves to null if the service does not say, or not in time. */
  join(adding: boolean, begun: (waiter: Waiter) => void): Promise<Outcome | null> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        adding,
        since: performance.now(),
        resolve: (outcome) => {
          this.#waiters.delete(waiter);
          resolve(outcome);
        },
      };
      this.#waiters.add(waiter);
      this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
      begun(waiter);
    });
  }

  has(waiter: Waiter | null): waiter is Waiter {
    return waiter !== null && this.#waiters.has(waiter);
  }

  /** The service will not say now; of `which` change. */
  giveUp(which: (waiter: Waiter) => boolean = () => true): void {
    for (const waiter of [...this.#waiters]) if (which(waiter)) waiter.resolve(null);
    this.#rest();
  }

  #look(): void {
    const late = performance.now() - DEADLINE_MS + LOOK_EVERY_MS;
    for (const waiter of this.#waiters) {
      if (waiter.since > late) break;
      waiter.resolve(null);
    }
    this.#rest();
  }

  #rest(): void {
    if (this.#waiters.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
