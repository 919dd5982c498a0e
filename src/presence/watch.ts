import { setTimeout as wait } from "node:timers/promises";
import type { PresenceWatcher, Transition } from "../backplane/contract/presence-store.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";

/** What a watch yields: first a snapshot of who is there, then each change. */
export type PresenceChange =
  | { readonly type: "snapshot"; readonly users: readonly string[] }
  | Transition;

/** How long after a listing that failed the next one begins, in milliseconds. */
const RETRY_MS = 1000;

/**
 * Who is in a room, or online, as a snapshot and then changes. What a reader has not taken yet is kept as the
 * difference between what it was told and what is true by now, so it never grows beyond the users there are.
 */
export class PresenceWatch implements PresenceWatcher {
  readonly #room: string | undefined;
  readonly #list: () => AsyncIterable<string>;
  /** Who is there. */
  readonly #present: Set<string> = new Set();
  /** Who is there, as the reader was told; null before the snapshot. */
  #told: Set<string> | null = null;
  /** In whom the two differ, and whether they are there. */
  readonly #pending: Map<string, boolean> = new Map();
  /** Who came or went while the users are being listed: later news than the list. */
  readonly #touched: Set<string> = new Set();
  readonly #ended: AbortController = new AbortController();
  #listed = false;
  #comparing: Promise<void> | null = null;
  #again = false;
  #failure: { readonly error: unknown } | null = null;
  #wake: () => void = () => {};

  /** `list` lists who is there, each user once. */
  constructor(room: string | undefined, list: () => AsyncIterable<string>) {
    this.#room = room;
    this.#list = list;
  }

  /** Aborts when it has ended. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  changed(user: string, present: boolean): void {
    if (this.#comparing !== null) this.#touched.add(user);
    this.#set(user, present);
  }

  /** Lists and compares; what is under way by now may have begun too early. */
  missed(): void {
    this.#again = true;
    this.#comparing ??= this.#compare()
      .catch((error) => this.fail(error))
      .finally(() => {
        this.#comparing = null;
      });
  }

  /** Whoever reads is told so, and nothing more. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }

  /** Ends the reading, and whatever is under way. */
  end(): void {
    this.#ended.abort();
    this.#wake();
  }

  /** Waits for what is to be told next; null when it has ended. Rejects if listing fails for good. */
  async next(): Promise<PresenceChange | null> {
    while (!this.#ended.signal.aborted) {
      if (this.#failure !== null) throw this.#failure.error;
      const change = this.#take();
      if (change !== null) return change;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return null;
  }

  #take(): PresenceChange | null {
    if (!this.#listed) return null;
    if (this.#told === null) {
      this.#told = new Set(this.#present);
      this.#pending.clear();
      return { type: "snapshot", users: [...this.#present] };
    }
    for (const [user, present] of this.#pending) {
      this.#pending.delete(user);
      if (present) this.#told.add(user);
      else this.#told.delete(user);
      return this.#transition(user, present);
    }
    return null;
  }

  #transition(user: string, present: boolean): Transition {
    const room = this.#room;
    if (room === undefined) return { type: present ? "online" : "offline", user };
    return { type: present ? "join" : "leave", user, room };
  }

  #set(user: string, present: boolean): void {
    if (present) this.#present.add(user);
    else this.#present.delete(user);
    if (this.#told?.has(user) === present) this.#pending.delete(user);
    else this.#pending.set(user, present);
    this.#wake();
  }

  async #compare(): Promise<void> {
    const { signal } = this.#ended;
    while (this.#again && !signal.aborted) {
      this.#again = false;
      this.#touched.clear();
      try {
        this.#settle(await this.#listAll());
      } catch (error) {
        if (!(error instanceof BackplaneUnavailableError)) throw error;
        this.#again = true;
        await wait(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  async #listAll(): Promise<Set<string>> {
    const users = new Set<string>();
    for await (const user of this.#list()) users.add(user);
    return users;
  }

  #settle(listed: ReadonlySet<string>): void {
    for (const user of listed) {
      if (!this.#touched.has(user) && !this.#present.has(user)) this.#set(user, true);
    }
    for (const user of this.#present) {
      if (!this.#touched.has(user) && !listed.has(user)) this.#set(user, false);
    }
    this.#listed = true;
    this.#wake();
  }
}
