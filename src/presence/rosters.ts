import type { PresenceStore } from "../backplane/contract/presence-store.ts";
import { Roster } from "./roster.ts";
import { PresenceWatch } from "./watch.ts";

interface Shared {
  readonly roster: Roster;
  /** Resolves to what ends it in the backplane. */
  readonly begun: Promise<() => void>;
}

/** The rosters of this instance: one for each room that is watched, and one of those online, for all who watch. */
export class Rosters {
  readonly #store: PresenceStore;
  readonly #list: (room: string | undefined) => AsyncIterable<string>;
  readonly #shared: Map<string | undefined, Shared> = new Map();
  readonly #watches: Set<PresenceWatch> = new Set();

  /** `list` lists who is in a room, or online, each user once. */
  constructor(store: PresenceStore, list: (room: string | undefined) => AsyncIterable<string>) {
    this.#store = store;
    this.#list = list;
  }

  watch(room: string | undefined): PresenceWatch {
    const shared = this.#shared.get(room) ?? this.#begin(room);
    const watch = new PresenceWatch(room, shared.roster);
    this.#watches.add(watch);
    const ended = (): void => {
      this.#watches.delete(watch);
      if (shared.roster.delete(watch)) this.#end(room, shared);
    };
    watch.ended.addEventListener("abort", ended, { once: true });
    return watch;
  }

  /** Ends all watches. */
  end(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  #begin(room: string | undefined): Shared {
    const roster = new Roster(() => this.#list(room));
    const begun = this.#store.watch(room, roster);
    const shared = { roster, begun };
    this.#shared.set(room, shared);
    begun.then(
      () => roster.missed(),
      (error) => roster.fail(error),
    );
    return shared;
  }

  #end(room: string | undefined, shared: Shared): void {
    if (this.#shared.get(room) === shared) this.#shared.delete(room);
    shared.begun.then((end) => end()).catch(() => {});
  }
}
