import { isName } from "../../../protocol/names.ts";
import type { PresenceWatcher } from "../../contract/presence-store.ts";

/** How often it is compared whether all that was told has come, in milliseconds. */
const COMPARE_EVERY_MS = 60_000;

/** Takes what is published on a channel; the listener says whether it understood. Resolves to what ends it. */
export type Listen = (
  channel: string,
  listener: (message: Buffer) => boolean,
) => Promise<() => void>;

/** What is told of one place in one bucket. */
export interface Source {
  readonly channel: string;
  /** The number of the last change that was told; 0: the place is empty. Rejects if nobody can tell. */
  lastTold(): Promise<number>;
}

/** How far one watcher has heard of a source. */
interface Heard {
  readonly source: Source;
  /** The last change; null: something before it may not have come. */
  last: number | null;
}

/**
 * Tells watchers of those who come and go, as the scripts publish it. Each change names the one before it, so whether
 * something was missed is found by comparing a number: with each change, after each new connection, and once in a while,
 * for nothing tells of the last one that was lost. Only who has missed something lists who is there.
 *
 * While Redis is being told everything again, others who are there may not be listed yet; nobody compares
 * until every lease has had its time.
 */
export class Changes {
  readonly #listen: Listen;
  readonly #leaseMs: number;
  readonly #compareEveryMs: number;
  readonly #watchers: Map<PresenceWatcher, readonly Heard[]> = new Map();
  #sureFrom = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(listen: Listen, leaseMs: number, compareEveryMs: number = COMPARE_EVERY_MS) {
    this.#listen = listen;
    this.#leaseMs = leaseMs;
    this.#compareEveryMs = compareEveryMs;
  }

  /** Resolves to what ends it, once all channels are subscribed to. */
  async watch(sources: readonly Source[], watcher: PresenceWatcher): Promise<() => void> {
    const all = sources.map((source): Heard => ({ source, last: null }));
    const ends = await Promise.all(
      all.map((heard) =>
        this.#listen(heard.source.channel, (message) => take(message, heard, watcher)),
      ),
    );
    // From here on nothing is missed that is not noticed.
    await Promise.all(all.map(look));
    this.#watchers.set(watcher, all);
    if (this.#timer === null) this.#compareIn(this.#compareEveryMs);
    return () => {
      for (const end of ends) end();
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.stop();
    };
  }

  /** Redis is empty, and is being told everything again. */
  emptied(): void {
    this.#sureFrom = performance.now() + this.#leaseMs;
    // What was told before is not known any more.
    for (const all of this.#watchers.values()) for (const heard of all) heard.last = null;
    this.missed();
  }

  /** Something may have been published that did not arrive. */
  missed(): void {
    if (this.#watchers.size > 0) this.#compareIn(Math.max(0, this.#sureFrom - performance.now()));
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #compareIn(ms: number): void {
    this.stop();
    this.#timer = setTimeout(() => {
      this.#compareIn(this.#compareEveryMs);
      for (const [watcher, all] of this.#watchers) void compare(watcher, all);
    }, ms).unref();
  }
}

/** Never rejects. */
async function compare(watcher: PresenceWatcher, all: readonly Heard[]): Promise<void> {
  const same = await Promise.all(all.map(look));
  if (same.includes(false)) watcher.missed();
}

/** Whether everything that was told has come; from here on it is known anew what has. Never rejects. */
async function look(heard: Heard): Promise<boolean> {
  const { last } = heard;
  try {
    const told = await heard.source.lastTold();
    // It may have come meanwhile.
    if (last !== null && (told === last || told === heard.last)) return true;
    heard.last = told;
  } catch {
    heard.last = null;
  }
  return false;
}

/** Who it is about, the number of the change before it, and its own; 0: the place is empty. */
const CHANGE = /^([+-])(.*)\n(\d{1,16})\n(\d{1,16})$/;

/** Whether it was understood. */
function take(message: Buffer, heard: Heard, watcher: PresenceWatcher): boolean {
  const [, sign, user, ...numbers] = CHANGE.exec(message.toString()) ?? [];
  if (!isName(user)) return false;
  watcher.changed(user, sign === "+");
  const [before = 0, told = 0] = numbers.map(Number);
  const { last } = heard;
  // Nobody knows where it stands, or it is known from having looked.
  if (last === null || (told !== 0 && told <= last)) return true;
  heard.last = told;
  if (before !== last) watcher.missed();
  return true;
}
