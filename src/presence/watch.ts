import type { Transition } from "../backplane/contract/presence-store.ts";
import type { Roster, RosterReader } from "./roster.ts";

/** What a watch yields: first a snapshot of who is there, then each change. */
export type PresenceChange =
  | { readonly type: "snapshot"; readonly users: readonly string[] }
  | Transition;

/**
 * Who is in a room, or online, as a snapshot and then changes. What a reader has not taken yet is kept as the
 * difference between what it was told and what is true by now, so it never grows beyond the users there are.
 */
export class PresenceWatch implements RosterReader {
  readonly #room: string | undefined;
  readonly #roster: Roster;
  /** In whom what the reader was told and what is true differ. */
  readonly #pending: Set<string> = new Set();
  readonly #ended: AbortController = new AbortController();
  /** Whether it has had the snapshot. */
  #begun = false;
  #failure: { readonly error: unknown } | null = null;
  #wake: () => void = () => {};

  constructor(room: string | undefined, roster: Roster) {
    this.#room = room;
    this.#roster = roster;
    roster.add(this);
  }

  /** Aborts when it has ended. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  listed(): void {
    this.#wake();
  }

  changed(user: string): void {
    if (!this.#begun) return;
    if (!this.#pending.delete(user)) this.#pending.add(user);
    this.#wake();
  }

  /** Whoever reads is told so, and nothing more. */
  failed(error: unknown): void {
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
    if (!this.#roster.isListed) return null;
    if (!this.#begun) {
      this.#begun = true;
      return { type: "snapshot", users: [...this.#roster.users] };
    }
    for (const user of this.#pending) {
      this.#pending.delete(user);
      return this.#transition(user, this.#roster.has(user));
    }
    return null;
  }

  #transition(user: string, present: boolean): Transition {
    const room = this.#room;
    if (room === undefined) return { type: present ? "online" : "offline", user };
    return { type: present ? "join" : "leave", user, room };
  }
}
