import { setTimeout as wait } from "node:timers/promises";
import type { PresenceWatcher } from "../backplane/contract/presence-store.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";

/** How long after a listing that failed the next one begins, in milliseconds. */
const RETRY_MS = 1000;

/** Who reads a roster. None of these may throw. */
export interface RosterReader {
  /** The users were listed; called once. */
  listed(): void;
  /** Somebody came or went. */
  changed(user: string): void;
  /** Nobody can tell who is there, nor will be able to. */
  failed(error: unknown): void;
}

/** Who is in a room, or online, for all who watch it on this instance. */
export class Roster implements PresenceWatcher {
  readonly #list: () => AsyncIterable<string>;
  readonly #present: Set<string> = new Set();
  readonly #readers: Set<RosterReader> = new Set();
  /** Who came or went while the users are being listed: later news than the list. */
  readonly #touched: Set<string> = new Set();
  readonly #ended: AbortController = new AbortController();
  #isListed = false;
  #comparing: Promise<void> | null = null;
  #again = false;

  /** `list` lists who is there, each user once. */
  constructor(list: () => AsyncIterable<string>) {
    this.#list = list;
  }

  /** Whether it is known who is there. */
  get isListed(): boolean {
    return this.#isListed;
  }

  get users(): Iterable<string> {
    return this.#present;
  }

  has(user: string): boolean {
    return this.#present.has(user);
  }

  add(reader: RosterReader): void {
    this.#readers.add(reader);
  }

  /** Whether nobody reads it any more; then it has ended. */
  delete(reader: RosterReader): boolean {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return false;
    this.#ended.abort();
    return true;
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

  fail(error: unknown): void {
    for (const reader of this.#readers) reader.failed(error);
  }

  #set(user: string, present: boolean): void {
    if (this.#present.has(user) === present) return;
    if (present) this.#present.add(user);
    else this.#present.delete(user);
    for (const reader of this.#readers) reader.changed(user);
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
      if (!this.#touched.has(user)) this.#set(user, true);
    }
    for (const user of this.#present) {
      if (!this.#touched.has(user) && !listed.has(user)) this.#set(user, false);
    }
    if (this.#isListed) return;
    this.#isListed = true;
    for (const reader of this.#readers) reader.listed();
  }
}
