import type { AsUserRecord } from "./change.ts";
import type { Waiter } from "./waiting.ts";

/** A change of the rooms of a user as a user, until the service has taken it. */
export interface Pending {
  change: AsUserRecord;
  /** The version it has if it cannot be made at once: that of the moment when it was asked for. */
  readonly askedAt: number;
  waiter: Waiter | null;
  /** It is to be made when it is known who is online. */
  held: boolean;
}

/** Changes of rooms as a user that the service is to be told, the oldest first; the last one of each room. */
export class AsUserChanges {
  readonly #pending: Map<string, Pending> = new Map();

  /** Whether there is nothing that may be made now. */
  get isIdle(): boolean {
    return this.take(1).length === 0;
  }

  unhold(): void {
    for (const pending of this.#pending.values()) pending.held = false;
  }

  /** In the place of what was to be told before. */
  add(change: AsUserRecord, askedAt: number): Pending {
    const key = keyOf(change);
    this.#pending.get(key)?.waiter?.resolve(null);
    const pending = { change, askedAt, waiter: null, held: false };
    this.#pending.delete(key);
    this.#pending.set(key, pending);
    return pending;
  }

  /** Only if nothing is to be told of that room. */
  restore(change: AsUserRecord): void {
    if (!this.#pending.has(keyOf(change))) this.add(change, change.version);
  }

  /**
   * What was to be made at once was not: it is made as of when it was asked for. By then the service may have gone back
   * to an older state, in which it is nothing new, while others tell it what had come before it.
   */
  postpone(): void {
    for (const pending of this.#pending.values()) {
      if (pending.change.version > 0) continue;
      pending.change = { ...pending.change, version: pending.askedAt };
    }
  }

  take(most: number): Pending[] {
    const taken: Pending[] = [];
    for (const pending of this.#pending.values()) {
      if (taken.length >= most) break;
      if (!pending.held) taken.push(pending);
    }
    return taken;
  }

  /** The service has taken one, and given it this version; what came after it comes after it there too. */
  taken(pending: Pending, version: number): void {
    const key = keyOf(pending.change);
    const last = this.#pending.get(key);
    if (last === pending) this.#pending.delete(key);
    else if (last !== undefined && last.change.version > 0 && last.change.version <= version) {
      last.change = { ...last.change, version: version + 1 };
    }
  }

  clear(): void {
    this.#pending.clear();
  }
}

function keyOf({ user, room }: AsUserRecord): string {
  return `${user}\n${room}`;
}
